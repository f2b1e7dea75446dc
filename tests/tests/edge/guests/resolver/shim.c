/* A resolver below the server: loaded before the C library (LD_PRELOAD), it
 * answers for names that end in `.test`. The folder that RESOLVER names holds
 * `names`, a name and its addresses to a line, and gets `asked`, a line for each
 * look-up. The n-th look-up of a name gets its n-th address, or its last. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Notes the look-up, and counts those of the name before it. */
static int noted(const char *folder, const char *name) {
  char path[4096], line[512];
  int before = 0;
  snprintf(path, sizeof path, "%s/asked", folder);
  FILE *asked = fopen(path, "a+");
  if (!asked) return 0;
  rewind(asked);
  while (fgets(line, sizeof line, asked)) {
    line[strcspn(line, "\n")] = 0;
    if (!strcmp(line, name)) before++;
  }
  fprintf(asked, "%s\n", name);
  fclose(asked);
  return before;
}

/* The address for this look-up, in `address`; whether there is one. */
static int answers(const char *folder, const char *name, char *address, size_t size) {
  char path[4096], line[512];
  int found = 0, before = noted(folder, name);
  snprintf(path, sizeof path, "%s/names", folder);
  FILE *names = fopen(path, "r");
  if (!names) return 0;
  while (!found && fgets(line, sizeof line, names)) {
    char *word = strtok(line, " \n");
    if (!word || strcmp(word, name)) continue;
    for (int n = 0; n <= before && (word = strtok(NULL, " \n")); n++) {
      snprintf(address, size, "%s", word);
      found = 1;
    }
  }
  fclose(names);
  return found;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
      dlsym(RTLD_NEXT, "getaddrinfo");
  const char *folder = getenv("RESOLVER");
  size_t length = node ? strlen(node) : 0;
  if (!folder || length < 5 || strcmp(node + length - 5, ".test"))
    return real(node, service, hints, result);
  char address[64];
  if (!answers(folder, node, address, sizeof address)) return EAI_NONAME;
  return real(address, service, hints, result);
}
