/* A disk that fails, below SQLite: loaded before the C library (LD_PRELOAD), it
 * lets the system calls that change the database fail while the file that
 * FAILING_DISK names says so. That file holds a word and a number: `write` or
 * `sync`, and the errno. All else goes to the C library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(const char *what, int fd) {
  const char *orders = getenv("FAILING_DISK");
  if (!orders) return 0;
  int kept = errno;
  FILE *file = fopen(orders, "r");
  char word[16];
  int code = 0;
  if (file) {
    if (fscanf(file, "%15s %d", word, &code) != 2 || strcmp(word, what)) code = 0;
    fclose(file);
  }
  if (code) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    if (!strstr(path, "lessor.db")) code = 0;
  }
  errno = code ? code : kept;
  return code;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRAP(kind, result, name, parameters, arguments) \
  result name parameters { return fails(kind, fd) ? -1 : REAL(name) arguments; }

WRAP("write", ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
WRAP("write", ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
WRAP("write", ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
WRAP("write", int, ftruncate, (int fd, off_t size), (fd, size))
WRAP("write", int, ftruncate64, (int fd, off64_t size), (fd, size))
WRAP("sync", int, fsync, (int fd), (fd))
WRAP("sync", int, fdatasync, (int fd), (fd))
