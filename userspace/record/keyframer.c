/* SPDX-License-Identifier: BSD-2-Clause */
/* keyframer.c - see keyframer.h. */
#include "record/keyframer.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "formats/block.h"
#include "formats/io.h"
#include "formats/keyframe.h"

#define SLICE_NBYTES (2u << 20) /* appended at once: about a millisecond */

/* What the copy leaves: this, the numbers of stacks and strings, the blocks. */
struct made_head {
	uint64_t nr_stacks, nr_strings, blocks_nbytes;
};

void keyframer_become_copy(int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd > 3)
		close_range(3, (unsigned)fd - 1, 0);
	close_range((unsigned)(fd > 2 ? fd : 2) + 1, ~0u, 0);
}

static int make(int fd, const struct heap *heap, const struct state *state, uint64_t ns, uint64_t unit_ns)
{
	struct keyframe k;
	struct made_head head;
	int err = keyframe_encode(heap, state, ns, unit_ns, &k);

	if (err)
		return err;
	head = (struct made_head){ k.nr_stacks, k.nr_strings, k.blocks.nbytes };
	err = io_write_all(fd, &head, sizeof(head));
	if (!err)
		err = io_write_all(fd, k.stacks, k.nr_stacks * sizeof(*k.stacks));
	if (!err)
		err = io_write_all(fd, k.strings, k.nr_strings * sizeof(*k.strings));
	if (!err)
		err = io_write_all(fd, k.blocks.data, k.blocks.nbytes);
	return err;
}

int keyframer_start(struct keyframer *k, const struct heap *heap, const struct state *state, uint64_t ns, uint64_t unit_ns)
{
	int err;

	if (k->fd >= 0)
		return -EBUSY;
	k->fd = memfd_create("keyframe", MFD_CLOEXEC);
	if (k->fd < 0)
		return -errno;
	k->pid = fork();
	if (k->pid == 0) {
		keyframer_become_copy(k->fd);
		_exit(make(k->fd, heap, state, ns, unit_ns) != 0);
	}
	if (k->pid > 0)
		return 0;
	err = -errno;
	k->pid = 0;
	keyframer_close(k);
	return err;
}

void keyframer_close(struct keyframer *k)
{
	if (k->pid > 0) {
		kill(k->pid, SIGKILL);
		waitpid(k->pid, NULL, 0);
	}
	if (k->made)
		munmap(k->made, k->nbytes);
	if (k->fd >= 0)
		close(k->fd);
	*k = KEYFRAMER_NEW;
}

/* The copy has ended well: the tape gets the dictionaries, the blocks come by and by. */
static int begin_append(struct keyframer *k, struct tape_writer *w)
{
	const struct made_head *head;
	const uint32_t *stacks;
	struct stat st;
	void *made;
	int err;

	if (fstat(k->fd, &st) || st.st_size < (off_t)sizeof(*head))
		return KEYFRAMER_FAILED;
	made = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, k->fd, 0);
	if (made == MAP_FAILED)
		return KEYFRAMER_FAILED;
	k->made = made;
	k->nbytes = (size_t)st.st_size;
	head = made;
	stacks = (const uint32_t *)(const void *)(head + 1);
	k->next = sizeof(*head) + (head->nr_stacks + head->nr_strings) * sizeof(uint32_t);
	k->end = k->next + head->blocks_nbytes;
	if (k->end != k->nbytes)
		return KEYFRAMER_FAILED;
	err = tape_writer_use_strings(w, stacks + head->nr_stacks, head->nr_strings);
	return err ? err : tape_writer_keyframe(w, k->made + k->next, 0, stacks, head->nr_stacks);
}

/* Whole blocks, about a slice. */
static size_t next_slice(const struct keyframer *k)
{
	size_t nbytes = 0;

	while (k->next + nbytes < k->end && nbytes < SLICE_NBYTES) {
		struct block_head h;
		const char *why;

		if (k->end - k->next - nbytes < BLOCK_HEAD_NBYTES || block_head_decode(k->made + k->next + nbytes, &h, &why))
			return 0;
		nbytes += BLOCK_HEAD_NBYTES + h.stored_nbytes;
	}
	return nbytes;
}

static int append(struct keyframer *k, struct tape_writer *w)
{
	size_t nbytes = next_slice(k);
	int err = nbytes ? tape_writer_keyframe(w, k->made + k->next, nbytes, NULL, 0) : 0;

	if (err)
		return err;
	k->next += nbytes;
	if (nbytes && k->next < k->end)
		return KEYFRAMER_BUSY;
	keyframer_close(k);
	return nbytes ? KEYFRAMER_DONE : KEYFRAMER_FAILED;
}

static int step(struct keyframer *k, struct tape_writer *w, int wait_flags)
{
	int status, err;

	if (k->fd < 0)
		return KEYFRAMER_IDLE;
	if (k->pid > 0) {
		pid_t got = waitpid(k->pid, &status, wait_flags);

		if (got == 0 || (got < 0 && errno == EINTR))
			return KEYFRAMER_BUSY;
		k->pid = 0;
		err = got > 0 && WIFEXITED(status) && !WEXITSTATUS(status) ? begin_append(k, w) : KEYFRAMER_FAILED;
		if (err == KEYFRAMER_FAILED)
			keyframer_close(k);
		return err ? err : KEYFRAMER_BUSY;
	}
	return append(k, w);
}

bool keyframer_has_ended(const struct keyframer *k)
{
	siginfo_t info = { 0 };

	return k->pid <= 0 || (waitid(P_PID, (id_t)k->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid);
}

int keyframer_step(struct keyframer *k, struct tape_writer *w)
{
	return step(k, w, WNOHANG);
}

int keyframer_finish(struct keyframer *k, struct tape_writer *w)
{
	int state;

	do
		state = step(k, w, 0);
	while (state == KEYFRAMER_BUSY);
	return state;
}
