/* Preloaded into a program, lets chosen calls of the system fail on files below one folder. See shim.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, READ = 4, NAME = 8 };
enum { ONCE = 0, EVER = 1, HALF = 2 };

static int kinds, number, code, manner;
static int seen, fired;
static char below[4096];

/* Calls of `kinds` (a sum) on files below `folder` fail with `error` from the `at`th on, counted from 1; 0: never.
   `how`: once; from then on; or a write of half of the bytes, once, that is no failure. */
void fault_arm(const char *folder, int which, int at, int error, int how) {
    strncpy(below, folder, sizeof below - 1);
    kinds = which, number = at, code = error, manner = how, seen = fired = 0;
}

int fault_seen(void) { return seen; }
int fault_fired(void) { return fired; }

static int is_below(const char *path) { return path && strncmp(path, below, strlen(below)) == 0; }

static int fails(int which) {
    if (!(kinds & which)) return 0;
    int n = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
    if (number == 0 || n < number || (n > number && manner != EVER)) return 0;
    fired = 1;
    return 1;
}

static int fails_on(int which, int file) {
    char link[64], path[4096];
    if (!(kinds & which)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return is_below(path) && fails(which);
}

static int error(void) { errno = code; return -1; }

#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, #name)
#define CUT(which, file, size) \
    if (fails_on(which, file)) { if (manner != HALF) return error(); if (size > 1) size /= 2; }

ssize_t write(int f, const void *b, size_t n) {
    REAL(ssize_t, write, int, const void *, size_t);
    CUT(WRITE, f, n) return real(f, b, n);
}
ssize_t pwrite64(int f, const void *b, size_t n, off64_t at) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    CUT(WRITE, f, n) return real(f, b, n, at);
}
ssize_t pwrite(int f, const void *b, size_t n, off_t at) { return pwrite64(f, b, n, at); }
ssize_t sendfile64(int out, int in, off64_t *at, size_t n) {
    REAL(ssize_t, sendfile64, int, int, off64_t *, size_t);
    CUT(WRITE, out, n) return real(out, in, at, n);
}
ssize_t sendfile(int out, int in, off_t *at, size_t n) { return sendfile64(out, in, (off64_t *)at, n); }
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t n, unsigned flags) {
    REAL(ssize_t, copy_file_range, int, off64_t *, int, off64_t *, size_t, unsigned);
    CUT(WRITE, out, n) return real(in, from, out, to, n, flags);
}
ssize_t writev(int f, const struct iovec *v, int n) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    CUT(WRITE, f, n) return real(f, v, n);
}
int posix_fallocate64(int f, off64_t at, off64_t n) {
    REAL(int, posix_fallocate64, int, off64_t, off64_t);
    if (manner != HALF && fails_on(WRITE, f)) return code;
    return real(f, at, n);
}
int posix_fallocate(int f, off_t at, off_t n) { return posix_fallocate64(f, at, n); }
int ftruncate64(int f, off64_t n) {
    REAL(int, ftruncate64, int, off64_t);
    if (manner != HALF && fails_on(WRITE, f)) return error();
    return real(f, n);
}
int ftruncate(int f, off_t n) { return ftruncate64(f, n); }

int fsync(int f) {
    REAL(int, fsync, int);
    if (fails_on(SYNC, f)) return error();
    return real(f);
}
int fdatasync(int f) {
    REAL(int, fdatasync, int);
    if (fails_on(SYNC, f)) return error();
    return real(f);
}
int msync(void *p, size_t n, int flags) {
    REAL(int, msync, void *, size_t, int);
    if (fails(SYNC)) return error();
    return real(p, n, flags);
}

ssize_t read(int f, void *b, size_t n) {
    REAL(ssize_t, read, int, void *, size_t);
    CUT(READ, f, n) return real(f, b, n);
}
ssize_t pread64(int f, void *b, size_t n, off64_t at) {
    REAL(ssize_t, pread64, int, void *, size_t, off64_t);
    CUT(READ, f, n) return real(f, b, n, at);
}
ssize_t preadv64(int f, const struct iovec *v, int n, off64_t at) {
    REAL(ssize_t, preadv64, int, const struct iovec *, int, off64_t);
    if (fails_on(READ, f)) {
        if (manner != HALF) return error();
        return pread64(f, v[0].iov_base, v[0].iov_len > 1 ? v[0].iov_len / 2 : v[0].iov_len, at);
    }
    return real(f, v, n, at);
}
ssize_t preadv(int f, const struct iovec *v, int n, off_t at) { return preadv64(f, v, n, at); }
ssize_t pread(int f, void *b, size_t n, off_t at) { return pread64(f, b, n, at); }

int rename(const char *a, const char *b) {
    REAL(int, rename, const char *, const char *);
    if (is_below(b) && fails(NAME)) return error();
    return real(a, b);
}
int linkat(int da, const char *a, int db, const char *b, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    if (fails_on(NAME, db)) return error();
    return real(da, a, db, b, flags);
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    if (is_below(path) && fails(NAME)) return error();
    return real(path, mode);
}
static int open_at(int folder, const char *path, int flags, mode_t mode) {
    REAL(int, openat64, int, const char *, int, ...);
    if (flags & O_CREAT && is_below(path) && fails(NAME)) return error();
    return real(folder, path, flags, mode);
}
#define OPENED va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, int); va_end(rest)
int open(const char *path, int flags, ...) { OPENED; return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { OPENED; return open_at(AT_FDCWD, path, flags, mode); }
int openat(int d, const char *path, int flags, ...) { OPENED; return open_at(d, path, flags, mode); }
int openat64(int d, const char *path, int flags, ...) { OPENED; return open_at(d, path, flags, mode); }
