// The guest's /init: runs the program described in /.emu/run, sends its
// output to the host through Bochs' I/O ports and ends with its exit status.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void put(int err, const char *p, size_t n) {
  outsb(err ? 0xe8 : 0xea, p, n);
  outb(0, 0xeb);
}
static void say(const char *s) { put(1, s, strlen(s)); }
static void done(int status) {
  for (;;) outb(status, 0xf4);
}
static void die(const char *what) {
  char b[300];
  snprintf(b, sizeof b, "emulator init: %s: %s\n", what, strerror(errno));
  say(b);
  done(125);
}

static char buf[65536];

int main(void) {
  if (ioperm(0xe8, 16, 1)) return 1;
  mkdir("/proc", 0755); mkdir("/dev", 0755); mkdir("/sys", 0755); mkdir("/tmp", 01777);
  mount("proc", "/proc", "proc", 0, 0);
  mount("sysfs", "/sys", "sysfs", 0, 0);
  if (mount("devtmpfs", "/dev", "devtmpfs", 0, 0)) die("devtmpfs");
  mkdir("/dev/shm", 01777);
  mount("tmpfs", "/dev/shm", "tmpfs", 0, 0);
  chmod("/tmp", 01777);

  int fd = open("/.emu/run", O_RDONLY);
  if (fd < 0) die("/.emu/run");
  static char desc[1 << 20];
  ssize_t n = read(fd, desc, sizeof desc - 1);
  close(fd);
  // Records of a letter and a text, each ended by NUL: p(rogram) d(irectory) i(nput) a(rgument) e(nvironment)
  static char *args[4096], *env[4096];
  int na = 0, ne = 0;
  const char *prog = 0, *dir = "/", *in = "/dev/null";
  for (char *p = desc; p < desc + n; p += strlen(p) + 1) switch (*p) {
    case 'p': prog = p + 1; break;
    case 'd': dir = p + 1; break;
    case 'i': in = p + 1; break;
    case 'a': if (na < 4095) args[na++] = p + 1; break;
    case 'e': if (ne < 4095) env[ne++] = p + 1; break;
  }
  int o[2], e[2];
  if (pipe2(o, O_CLOEXEC) || pipe2(e, O_CLOEXEC)) die("pipe");
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (!pid) {
    ioperm(0xe8, 16, 0);
    setsid();
    int i = open(in, O_RDONLY);
    dup2(i, 0); dup2(o[1], 1); dup2(e[1], 2);
    if (i > 2) close(i);
    if (chdir(dir)) { dprintf(2, "emulator init: cannot enter %s\n", dir); _exit(127); }
    execve(prog, args, env);
    dprintf(2, "emulator init: cannot run %s: %s\n", prog, strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
  }
  close(o[1]); close(e[1]);
  struct pollfd pf[2] = { { o[0], POLLIN, 0 }, { e[0], POLLIN, 0 } };
  fcntl(o[0], F_SETPIPE_SZ, 1 << 20);
  int status = 0, ended = 0;
  while (pf[0].fd >= 0 || pf[1].fd >= 0) {
    int r = poll(pf, 2, ended ? 0 : 100);
    if (r < 0 && errno != EINTR) break;
    int got = 0;
    for (int k = 0; k < 2; k++)
      if (pf[k].fd >= 0 && pf[k].revents) {
        ssize_t c = read(pf[k].fd, buf, sizeof buf);
        if (c > 0) { put(k, buf, c); got = 1; }
        else if (c == 0 || errno != EINTR) pf[k].fd = -1;
      }
    if (ended && !got) break;   // the program has ended; its orphans may hold the pipes
    int st;
    pid_t w;
    while (!ended && (w = waitpid(-1, &st, WNOHANG)) > 0)
      if (w == pid) { status = st; ended = 1; }
  }
  while (!ended) {
    int st;
    pid_t w = waitpid(-1, &st, 0);
    if (w == pid) { status = st; ended = 1; }
    if (w < 0 && errno == ECHILD) break;
  }
  if (WIFSIGNALED(status)) {
    char b[100];
    snprintf(b, sizeof b, "emulator init: killed by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
    say(b);
    done(128 + WTERMSIG(status));
  }
  done(WEXITSTATUS(status));
}
