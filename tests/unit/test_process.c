/* SPDX-License-Identifier: BSD-2-Clause */
/* test_process.c - live processes of every sort, and the dynamic linker's list in their memory, sound or hostile. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "target/linkmap.h"
#include "target/process.h"

/* A shell that has said that it runs, and ends when its input does. */
struct child {
	pid_t pid;
	int in, out;
};

static struct child child_start(char *const argv[], char *const envp[])
{
	struct child c = { .pid = -1 };
	int in[2], out[2];
	char byte;

	CHECK(!pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC));
	c.pid = fork();
	if (!c.pid) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execve("/bin/sh", argv, envp);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	c.in = in[1];
	c.out = out[0];
	CHECK_EQ(read(c.out, &byte, 1), 1);
	return c;
}

static void child_end(struct child *c)
{
	close(c->in);
	close(c->out);
	CHECK_EQ(waitpid(c->pid, NULL, 0), c->pid);
}

#define SCRIPT "echo r; read x"

static enum process_refusal refusal_of(pid_t pid, pid_t *tgid_ret)
{
	enum process_refusal refusal = PROCESS_OK;
	struct process p;

	CHECK_EQ(process_open(pid, &p), 0);
	CHECK_EQ(process_check(&p, &refusal, tgid_ret), 0);
	process_close(&p);
	return refusal;
}

static void test_itself(void)
{
	struct process_resident resident = { 0 };
	uint64_t value = 0x1234567890abcdef, read_back = 0;
	char exe[4096] = "", *got;
	struct process p;
	pid_t tgid;

	CHECK_EQ(refusal_of(getpid(), &tgid), PROCESS_OK);
	CHECK_EQ(tgid, getpid());
	CHECK_EQ(process_open(getpid(), &p), 0);
	CHECK(process_is_alive(&p));
	CHECK_EQ(process_read(&p, (uint64_t)(uintptr_t)&value, &read_back, sizeof(read_back)), 0);
	CHECK_EQ(read_back, value);
	CHECK_EQ(process_read(&p, 16, &read_back, sizeof(read_back)), -EFAULT);
	CHECK_EQ(process_resident(&p, &resident), 0);
	CHECK(resident.anon && resident.file && resident.anon % 1024 == 0);
	CHECK(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	got = process_exe(&p);
	CHECK_STR(got, exe);
	free(got);
	process_reopen_mem(&p);
	CHECK_EQ(process_read(&p, (uint64_t)(uintptr_t)&value, &read_back, sizeof(read_back)), 0);
	close(p.mem_fd);
	p.mem_fd = -1;
	CHECK_EQ(process_read(&p, (uint64_t)(uintptr_t)&value, &read_back, sizeof(read_back)), -EACCES);
	process_close(&p);
	process_close(&p); /* twice */
}

/* Words of a page's end and of the page behind it, which is not there. */
static void test_read_over_the_end(void)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct process p;
	char buf[16];

	munmap(pages + 4096, 4096);
	CHECK_EQ(process_open(getpid(), &p), 0);
	CHECK_EQ(process_read(&p, (uint64_t)(uintptr_t)pages + 4080, buf, 16), 0);
	CHECK_EQ(process_read(&p, (uint64_t)(uintptr_t)pages + 4088, buf, 16), -EFAULT);
	process_close(&p);
	munmap(pages, 4096);
}

struct other_thread {
	pthread_barrier_t barrier;
	pid_t tid;
};

static void *other_thread_run(void *arg)
{
	struct other_thread *other = arg;

	prctl(PR_SET_NAME, "a:name (odd)");
	other->tid = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&other->barrier);
	pthread_barrier_wait(&other->barrier);
	return NULL;
}

static int count_thread(void *arg, pid_t tid)
{
	pid_t *seen = arg;

	seen[0]++;
	if (tid == seen[1])
		seen[2] = 1;
	return 0;
}

static int stop_at_once(void *arg, pid_t tid)
{
	++*(int *)arg;
	return tid ? 5 : 0;
}

static void test_threads(void)
{
	struct other_thread other = { .tid = 0 };
	pid_t seen[3] = { 0 }, tgid;
	struct process p;
	char name[16];
	pthread_t thread;
	int calls = 0;

	pthread_barrier_init(&other.barrier, NULL, 2);
	CHECK_EQ(pthread_create(&thread, NULL, other_thread_run, &other), 0);
	pthread_barrier_wait(&other.barrier);
	CHECK_EQ(refusal_of(other.tid, &tgid), PROCESS_IS_THREAD);
	CHECK_EQ(tgid, getpid());
	CHECK_EQ(process_open(getpid(), &p), 0);
	seen[1] = other.tid;
	CHECK_EQ(process_each_thread(&p, count_thread, seen), 0);
	CHECK(seen[0] >= 2 && seen[2]);
	CHECK_EQ(process_each_thread(&p, stop_at_once, &calls), 5);
	CHECK_EQ(calls, 1);
	process_thread_name(&p, other.tid, name);
	CHECK_STR(name, "a:name (odd)");
	process_thread_name(&p, 0, name);
	CHECK_STR(name, "");
	pthread_barrier_wait(&other.barrier);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&other.barrier);
	process_close(&p);
}

static void test_zombie_and_gone(void)
{
	struct process_resident resident;
	enum process_refusal refusal;
	struct process p, later;
	siginfo_t info;
	pid_t pid = fork(), tgid;

	if (!pid) {
		pause();
		_exit(0);
	}
	CHECK_EQ(process_open(pid, &p), 0);
	CHECK(process_is_alive(&p));
	kill(pid, SIGKILL);
	CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	CHECK(!process_is_alive(&p));
	CHECK_EQ(refusal_of(pid, &tgid), PROCESS_ZOMBIE);
	CHECK_EQ(process_resident(&p, &resident), -ESRCH);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	CHECK(process_open(pid, &later) == -ESRCH);
	CHECK_EQ(process_resident(&p, &resident), -ESRCH);
	CHECK(process_check(&p, &refusal, &tgid) < 0);
	CHECK(!process_exe(&p));
	process_close(&p);
	CHECK_EQ(process_open(-1, &later), -ESRCH);
	CHECK_EQ(process_open(1 << 30, &later), -ESRCH);
}

static void test_kernel_thread(void)
{
	char comm[32] = "";
	int fd = open("/proc/2/comm", O_RDONLY);
	pid_t tgid;

	if (fd < 0 || read(fd, comm, sizeof(comm) - 1) <= 0 || strncmp(comm, "kthreadd", 8) != 0)
		printf("SKIP kernel thread: none to be seen here\n");
	else
		CHECK_EQ(refusal_of(2, &tgid), PROCESS_KERNEL_THREAD);
	if (fd >= 0)
		close(fd);
}

/* A 32-bit program of three instructions that waits for ever. */
static void test_32bit_program(void)
{
	static const struct {
		Elf32_Ehdr ehdr;
		Elf32_Phdr phdr;
		unsigned char code[9];
	} program = {
		.ehdr = { .e_ident = { ELFMAG0, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
			  .e_type = ET_EXEC,
			  .e_machine = EM_386,
			  .e_version = EV_CURRENT,
			  .e_entry = 0x400000 + sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr),
			  .e_phoff = sizeof(Elf32_Ehdr),
			  .e_ehsize = sizeof(Elf32_Ehdr),
			  .e_phentsize = sizeof(Elf32_Phdr),
			  .e_phnum = 1 },
		.phdr = { .p_type = PT_LOAD, .p_vaddr = 0x400000, .p_filesz = 128, .p_memsz = 128, .p_flags = PF_R | PF_X,
			  .p_align = 4096 },
		.code = { 0xb8, 29, 0, 0, 0, 0xcd, 0x80, 0xeb, 0xf7 }, /* mov $29 (pause), %eax; int $0x80; jmp back */
	};
	char byte, bytes[128] = { 0 };
	int fd = memfd_create("p32", 0), ready[2];
	pid_t pid, tgid;

	memcpy(bytes, &program, sizeof(program));
	CHECK_EQ(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	CHECK_EQ(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		char *const argv[] = { "p32", NULL }, *const envp[] = { NULL };

		fcntl(fd, F_SETFD, FD_CLOEXEC);
		fexecve(fd, argv, envp);
		if (write(ready[1], "x", 1) != 1)
			_exit(2);
		_exit(1);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1)) /* closed by a successful exec */
		printf("SKIP 32-bit program: this kernel runs none\n");
	else
		CHECK_EQ(refusal_of(pid, &tgid), PROCESS_32BIT);
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	close(ready[0]);
	close(fd);
}

static void test_arguments_are_quoted(void)
{
	char *const argv[] = { "sh", "-c", SCRIPT, "plain-x/=", "two words", "it's", "", "$HOME", NULL };
	char *const envp[] = { NULL };
	struct child c = child_start(argv, envp);
	struct process p;
	char *line;

	CHECK_EQ(process_open(c.pid, &p), 0);
	line = process_cmdline(&p);
	CHECK_STR(line, "sh -c '" SCRIPT "' plain-x/= 'two words' 'it'\\''s' '' '$HOME'");
	free(line);
	process_close(&p);
	child_end(&c);
}

static int append_setting(void *arg, const char *name, const char *value)
{
	char *all = arg;

	snprintf(all + strlen(all), 256 - strlen(all), "%s<%s> ", name, value);
	return 0;
}

/* Of a target's environment only what sets allocators may be looked at. */
static void test_settings_and_nothing_else(void)
{
	char *const argv[] = { "sh", "-c", SCRIPT, NULL };
	char *const envp[] = { "PASSWORD=secret", "MALLOC_ARENA_MAX=1", "MALLOC_CONF=dirty_decay_ms:0,narenas:2",
			       "XMALLOC_A=no", "GLIBC_TUNABLES=a=b:c=d", "GLIBC_TUNABLES_X=no", "MIMALLOC_VERBOSE=",
			       "LD_PRELOAD=", NULL };
	struct child c = child_start(argv, envp);
	char all[256] = "";
	struct process p;

	CHECK_EQ(process_open(c.pid, &p), 0);
	CHECK_EQ(process_each_setting(&p, append_setting, all), 0);
	CHECK_STR(all, "MALLOC_ARENA_MAX<1> MALLOC_CONF<dirty_decay_ms:0,narenas:2> GLIBC_TUNABLES<a=b:c=d> MIMALLOC_VERBOSE<> ");
	process_close(&p);
	child_end(&c);
}

/* ---- the dynamic linker's list ---- */

struct biases {
	uint64_t list[256];
	unsigned nr;
};

static int add_bias(struct dl_phdr_info *info, size_t nbytes, void *arg)
{
	struct biases *b = arg;

	(void)nbytes;
	if (b->nr < 256)
		b->list[b->nr++] = info->dlpi_addr;
	return 0;
}

static uint64_t linked[LINKMAP_MAX];

static void test_own_objects_in_search_order(void)
{
	struct biases want = { .nr = 0 };
	struct process p;
	unsigned nr = 0;

	dl_iterate_phdr(add_bias, &want);
	CHECK_EQ(process_open(getpid(), &p), 0);
	CHECK_EQ(linkmap_read(&p, linked, &nr), 0);
	CHECK_EQ(nr, want.nr);
	CHECK(nr >= 2 && !memcmp(linked, want.list, nr * sizeof(linked[0])));
	CHECK_EQ(linkmap_interpreter(&p), getauxval(AT_BASE));
	process_close(&p);
}

/* A process made of two files: its auxv and its memory (addresses are offsets). */
struct fake {
	Elf64_Phdr phdrs[2];
	Elf64_Dyn dynamic[2];
	struct r_debug debug;
	struct link_map maps[3];
};

enum { FAKE_AT = 4096 };
#define FAKE(member) (FAKE_AT + offsetof(struct fake, member))

static int fake_read(const struct fake *fake, size_t nbytes, uint64_t nr_phdrs, unsigned *nr_ret)
{
	char folder[] = "/tmp/heaptape_test_process.XXXXXX", path[64];
	const Elf64_auxv_t auxv[] = { { AT_PHDR, { FAKE(phdrs) } }, { AT_PHNUM, { nr_phdrs } }, { AT_NULL, { 0 } } };
	struct process p = { .pid = 1, .pid_fd = -1, .mem_fd = memfd_create("memory", MFD_CLOEXEC) };
	int fd, err;

	CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/auxv", folder);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	CHECK_EQ(write(fd, auxv, sizeof(auxv)), sizeof(auxv));
	close(fd);
	CHECK_EQ(pwrite(p.mem_fd, fake, nbytes, FAKE_AT), (ssize_t)nbytes);
	p.proc_fd = open(folder, O_RDONLY | O_DIRECTORY);
	err = linkmap_read(&p, linked, nr_ret);
	process_close(&p);
	unlink(path);
	rmdir(folder);
	return err;
}

static struct fake fake_sound(void)
{
	struct fake f = { .phdrs = { { .p_type = PT_PHDR, .p_vaddr = FAKE(phdrs) },
				     { .p_type = PT_DYNAMIC, .p_vaddr = FAKE(dynamic), .p_memsz = sizeof(f.dynamic) } },
			  .dynamic = { { DT_NEEDED, { 1 } }, { DT_DEBUG, { FAKE(debug) } } } };

	f.debug.r_map = (void *)(uintptr_t)FAKE(maps[0]);
	for (unsigned i = 0; i < 3; i++) {
		f.maps[i].l_addr = 100 * (i + 1);
		f.maps[i].l_next = i < 2 ? (void *)(uintptr_t)(FAKE(maps[0]) + (i + 1) * sizeof(struct link_map)) : NULL;
	}
	return f;
}

static void test_hostile_lists(void)
{
	struct fake f = fake_sound();
	unsigned nr = 99;

	CHECK_EQ(fake_read(&f, sizeof(f), 2, &nr), 0);
	CHECK(nr == 3 && linked[0] == 100 && linked[1] == 200 && linked[2] == 300);
	f.maps[2].l_next = (void *)(uintptr_t)FAKE(maps[0]); /* a ring */
	CHECK_EQ(fake_read(&f, sizeof(f), 2, &nr), 0);
	CHECK_EQ(nr, LINKMAP_MAX);
	f = fake_sound();
	f.maps[1].l_next = (void *)(uintptr_t)(1 << 30); /* into nothing */
	CHECK_EQ(fake_read(&f, sizeof(f), 2, &nr), -EFAULT);
	f = fake_sound();
	CHECK_EQ(fake_read(&f, sizeof(f), 1u << 30, &nr), 0); /* headers without end */
	CHECK_EQ(nr, 0);
	CHECK_EQ(fake_read(&f, sizeof(f), 1, &nr), 0); /* no dynamic section: a static program */
	CHECK_EQ(nr, 0);
	f.dynamic[0].d_tag = DT_NULL;
	CHECK_EQ(fake_read(&f, sizeof(f), 2, &nr), 0);
	CHECK_EQ(nr, 0);
	f = fake_sound();
	f.dynamic[1].d_un.d_ptr = 0; /* the linker has not come that far */
	CHECK_EQ(fake_read(&f, sizeof(f), 2, &nr), 0);
	CHECK_EQ(nr, 0);
}

int main(void)
{
	test_itself();
	test_read_over_the_end();
	test_threads();
	test_zombie_and_gone();
	test_kernel_thread();
	test_32bit_program();
	test_arguments_are_quoted();
	test_settings_and_nothing_else();
	test_own_objects_in_search_order();
	test_hostile_lists();
	return check_done();
}
