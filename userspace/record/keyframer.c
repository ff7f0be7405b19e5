/* SPDX-License-Identifier: BSD-2-Clause */
/* keyframer.c - see keyframer.h. */
#include "record/keyframer.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "formats/block.h"
#include "formats/io.h"
#include "formats/keyframe.h"

#define SLICE_NBYTES (2u << 20) /* appended at once: about a millisecond */

/* What the copy leaves: the blocks, from the next multiple of NUMBERS_ALIGN on the numbers of stacks and strings, and this. */
struct made_tail {
	uint64_t nr_stacks, nr_strings, blocks_nbytes;
};

#define NUMBERS_ALIGN 8u

void keyframer_become_copy(int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd > 3)
		close_range(3, (unsigned)fd - 1, 0);
	close_range((unsigned)(fd > 2 ? fd : 2) + 1, ~0u, 0);
}

struct out {
	int fd;
	uint64_t nbytes;
};

/* Written away as they come, so that the copy never holds them all. */
static int put_block(void *arg, const struct bytes *block)
{
	struct out *out = arg;

	out->nbytes += block->nbytes;
	return io_write_all(out->fd, block->data, block->nbytes);
}

static size_t align(uint64_t nbytes)
{
	return (size_t)(nbytes + NUMBERS_ALIGN - 1) & ~(size_t)(NUMBERS_ALIGN - 1);
}

static int make(int fd, const struct heap *heap, const struct state *state, uint64_t ns, uint64_t unit_ns)
{
	static const uint8_t padding[NUMBERS_ALIGN];
	struct out out = { .fd = fd };
	struct made_tail tail;
	struct keyframe k;
	int err = keyframe_encode_to(heap, state, ns, unit_ns, put_block, &out, &k);

	if (err)
		return err;
	tail = (struct made_tail){ k.nr_stacks, k.nr_strings, out.nbytes };
	err = io_write_all(fd, padding, align(out.nbytes) - out.nbytes);
	if (!err)
		err = io_write_all(fd, k.stacks, k.nr_stacks * sizeof(*k.stacks));
	if (!err)
		err = io_write_all(fd, k.strings, k.nr_strings * sizeof(*k.strings));
	return err ? err : io_write_all(fd, &tail, sizeof(tail));
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
	struct made_tail tail;
	const uint32_t *stacks;
	struct stat st;
	void *made;
	int err;

	if (fstat(k->fd, &st) || st.st_size < (off_t)sizeof(tail))
		return KEYFRAMER_FAILED;
	made = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, k->fd, 0);
	if (made == MAP_FAILED)
		return KEYFRAMER_FAILED;
	k->made = made;
	k->nbytes = (size_t)st.st_size;
	memcpy(&tail, k->made + k->nbytes - sizeof(tail), sizeof(tail));
	stacks = (const uint32_t *)(const void *)(k->made + align(tail.blocks_nbytes));
	k->next = 0;
	k->end = tail.blocks_nbytes;
	if (align(k->end) + (tail.nr_stacks + tail.nr_strings) * sizeof(*stacks) + sizeof(tail) != k->nbytes)
		return KEYFRAMER_FAILED;
	err = tape_writer_use_strings(w, stacks + tail.nr_stacks, tail.nr_strings);
	return err ? err : tape_writer_keyframe(w, k->made, 0, stacks, tail.nr_stacks);
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
