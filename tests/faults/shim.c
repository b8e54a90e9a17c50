/* LD_PRELOAD shim: injects one fault at the n-th call of a kind, and tells which call site it hit.
 *
 * A process is armed by its role: by aispool_fault_arm(ROLE) in a forked process, by AISPOOL_FAULT_ROLE in the
 * environment of one that is executed ("program": that and all below it by their programs' names), as "wrapper" when
 * it runs agent/wrap.py, as "starter" when that serves, as "pipeline" when it runs agent.collab; what a starter forks
 * is a wrapper. The plan is the file
 * that AISPOOL_FAULTS names, one fault a line: ROLE FIRST TIMES FAULT [CALL@]SITE (TIMES -1: from then on; with a
 * SITE only the calls below product lines that hold this text, ~ for a space, with /SITE those whose path does).
 * What was injected is appended to the plan's name + ".log": role, pid, fault, n, call, path, call site (product
 * lines, innermost first), size, kind of call.
 * The faults "trace" and "traceall" log every call and change nothing. SIGSTOP after a call: "stop".
 *
 * A program armed as "program" or "host-…" has its forks armed too. Otherwise a child between fork and exec is
 * another pid and is left alone, but for two faults at the call of fork:
 * "kill-forked" ends the child at its first step, "kill-exec" at its exec. A vfork is played as a fork, so that
 * both sides of it are seen. In tmux (role "tmux") only "kill-exec" counts, at each exec of a wrapper.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { OPENR = 1, OPENW = 2, WRITE = 4, NAME = 8, FSYNC = 16, SPACE = 32, PROCESS = 64, PIPE = 128, READ = 256, WAIT = 512, EXEC = 1024, SOCKET = 2048 };
#define MUTATING (OPENW | WRITE | NAME | FSYNC | SPACE | PROCESS | PIPE | WAIT | SOCKET)
enum { PASS, ERROR, KILL_BEFORE, KILL_AFTER, KILL_MID, KILL_FORKED, KILL_EXEC, SHORT, STOP_AFTER, TRACE };

typedef struct {
    long first, times, seen;
    int act, error, kinds, disk_only, owned;
    char fault[32], call[16], site[600];
} Entry;

static Entry entries[32];
__attribute__((used)) static int armed_pid;
static int entry_count, doomed, in_tmux, forks_wrappers, follows, log_fd = -1;
static char role[32], log_path[4096];
static __thread int busy;

typedef struct { const char *name; int act, error, kinds, disk_only; } Known;
static const Known known[] = {
    {"kill-before", KILL_BEFORE, 0, MUTATING, 0},
    {"kill-after", KILL_AFTER, 0, MUTATING, 0},
    {"kill-mid", KILL_MID, 0, WRITE, 0},
    {"kill-forked", KILL_FORKED, 0, PROCESS, 0},
    {"kill-exec", KILL_EXEC, 0, PROCESS | EXEC, 0},
    {"stop", STOP_AFTER, 0, MUTATING, 1},
    {"ENOSPC", ERROR, ENOSPC, OPENW | WRITE | NAME | SPACE | FSYNC, 1},
    {"EDQUOT", ERROR, EDQUOT, OPENW | WRITE | NAME | SPACE | FSYNC, 1},
    {"EIO", ERROR, EIO, OPENR | OPENW | WRITE | NAME | SPACE | FSYNC | READ, 1},
    {"EROFS", ERROR, EROFS, OPENW | NAME | SPACE, 1},
    {"EMFILE", ERROR, EMFILE, OPENR | OPENW | PIPE, 0},
    {"EINTR", ERROR, EINTR, OPENR | OPENW | WRITE | FSYNC, 1},
    {"EAGAIN-fork", ERROR, EAGAIN, PROCESS, 0},
    {"ECONNRESET", ERROR, ECONNRESET, SOCKET, 0},
    {"fsync-EIO", ERROR, EIO, FSYNC, 1},
    {"short-write", SHORT, 0, WRITE, 1},
    {"trace", TRACE, 0, MUTATING | OPENR | READ, 0},
};

static void put_log(const char *text, size_t length) {
    if (log_fd < 0) log_fd = syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd >= 0) syscall(SYS_write, log_fd, text, length);
    if (log_fd >= 0 && follows) log_fd = (syscall(SYS_close, log_fd), -1); /* others close what they do not know */
}

static void read_plan(const char *plan) {
    char text[8192], one[32], fault[32], where[640];
    int fd = syscall(SYS_openat, AT_FDCWD, plan, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return;
    long size = syscall(SYS_read, fd, text, sizeof text - 1), first, times;
    syscall(SYS_close, fd);
    if (size <= 0) return;
    text[size] = 0;
    for (char *line = strtok(text, "\n"); line && entry_count < 32; line = strtok(NULL, "\n")) {
        where[0] = 0;
        if (sscanf(line, "%31s %ld %ld %31s %639s", one, &first, &times, fault, where) < 4) continue;
        if (strcmp(one, role) && strcmp(one, "*")) continue;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            if (strcmp(known[i].name, fault)) continue;
            Entry *entry = &entries[entry_count++];
            entry->first = first, entry->times = times, entry->seen = 0, entry->owned = 0;
            entry->act = known[i].act, entry->error = known[i].error;
            entry->kinds = known[i].kinds, entry->disk_only = known[i].disk_only;
            strcpy(entry->fault, fault);
            char *at = strchr(where, '@');
            snprintf(entry->call, sizeof entry->call, "%.*s", at ? (int)(at - where) : 0, where);
            snprintf(entry->site, sizeof entry->site, "%.599s", at ? at + 1 : where);
            for (char *c = entry->site; *c; c++) if (*c == '~') *c = ' ';
        }
    }
    snprintf(log_path, sizeof log_path, "%s.log", plan);
}

void aispool_fault_arm(const char *new_role) {
    const char *plan = getenv("AISPOOL_FAULTS"), *workspace = getenv("AISPOOL_WORKSPACE");
    static char beside[4096];
    entry_count = 0, log_fd = -1, armed_pid = 0;
    if (!plan && workspace && !strcmp(new_role, "pipeline")) { /* a tool is given little: the plan lies beside the workspace */
        snprintf(beside, sizeof beside, "%.4000s/../plan", workspace);
        plan = beside;
    }
    if (!plan) return;
    snprintf(role, sizeof role, "%s", new_role);
    read_plan(plan);
    if (entry_count) armed_pid = getpid();
}

void aispool_fault_disarm(void) { armed_pid = 0; entry_count = 0; }

__attribute__((constructor)) static void begin(void) {
    const char *given = getenv("AISPOOL_FAULT_ROLE");
    char text[4096];
    if (given && strcmp(given, "program")) {
        follows = !strncmp(given, "host-", 5);
        aispool_fault_arm(given);
        unsetenv("AISPOOL_FAULT_ROLE");
        return;
    }
    int fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
    long size = fd < 0 ? 0 : syscall(SYS_read, fd, text, sizeof text - 1);
    if (fd >= 0) syscall(SYS_close, fd);
    if (size <= 0) return;
    text[size] = 0;
    char *program = strrchr(text, '/');
    if (given) {
        follows = 1;
        aispool_fault_arm(program ? program + 1 : text);
        return;
    }
    if (!strcmp(program ? program + 1 : text, "tmux")) {
        aispool_fault_arm("tmux");
        armed_pid = 0, in_tmux = entry_count > 0;
        return;
    }
    /* python -P -m agent.collab … · python -I -S /…/agent/wrap.py ATTEMPT */
    char *word = text;
    for (int i = 0; i < 3 && word < text + size; i++) word += strlen(word) + 1;
    size_t length = word < text + size ? strlen(word) : 0;
    if (length && !strcmp(word, "agent.collab")) {
        aispool_fault_arm("pipeline");
        return;
    }
    if (length <= 14 || strcmp(word + length - 14, "/agent/wrap.py")) return;
    forks_wrappers = !strcmp(word + length + 1, "--serve");
    aispool_fault_arm(forks_wrappers ? "starter" : "wrapper");
}

/* ---- which line of the product calls us: the interpreter is asked, with its lock held ---- */

static void product_site(char *into, size_t room) {
    static int (*initialized)(void);
    static int (*ensure)(void);
    static void (*release)(int);
    static void *(*get_frame)(void), *(*get_code)(void *), *(*get_back)(void *), *(*attribute)(void *, const char *);
    static int (*get_line)(void *);
    static const char *(*as_text)(void *);
    static void (*decref)(void *);
    static int looked;
    into[0] = 0;
    if (!looked) {
        looked = 1;
        initialized = dlsym(RTLD_DEFAULT, "Py_IsInitialized");
        ensure = dlsym(RTLD_DEFAULT, "PyGILState_Ensure");
        release = dlsym(RTLD_DEFAULT, "PyGILState_Release");
        get_frame = dlsym(RTLD_DEFAULT, "PyEval_GetFrame");
        get_code = dlsym(RTLD_DEFAULT, "PyFrame_GetCode");
        get_back = dlsym(RTLD_DEFAULT, "PyFrame_GetBack");
        get_line = dlsym(RTLD_DEFAULT, "PyFrame_GetLineNumber");
        attribute = dlsym(RTLD_DEFAULT, "PyObject_GetAttrString");
        as_text = dlsym(RTLD_DEFAULT, "PyUnicode_AsUTF8");
        decref = dlsym(RTLD_DEFAULT, "Py_DecRef");
    }
    if (!initialized || !initialized() || !ensure || !get_back) return;
    int state = ensure();
    void *frame = get_frame();
    size_t used = 0;
    int owned = 0;
    while (frame && used + 300 < room) {
        void *code = get_code(frame);
        void *file = attribute(code, "co_filename"), *name = attribute(code, "co_qualname");
        const char *path = file ? as_text(file) : NULL, *function = name ? as_text(name) : NULL;
        const char *cut = path ? strstr(path, "/agent/") : NULL;
        const char *spool = path ? strstr(path, "/spool/") : NULL;
        if (spool && (!cut || spool > cut)) cut = spool;
        if (cut && !strstr(path, "site-packages") && function)
            used += snprintf(into + used, room - used, "%s%s:%d:%.60s", used ? " < " : "", cut + 1, get_line(frame), function);
        if (file) decref(file);
        if (name) decref(name);
        decref(code);
        void *back = get_back(frame);
        if (owned) decref(frame);
        frame = back, owned = 1;
    }
    if (frame && owned) decref(frame);
    release(state);
}

/* A fault happens in one process only: the wrapper that comes again must not meet it for ever. */
static int is_ours(int index) {
    char path[4200];
    if (entries[index].owned) return entries[index].owned > 0;
    snprintf(path, sizeof path, "%s.%s.%d", log_path, role, index);
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) syscall(SYS_close, fd);
    entries[index].owned = fd >= 0 ? 1 : -1;
    return fd >= 0;
}

/* The disk was mended: PLAN.log.lifted ends what was to go on. */
static int lifted(void) {
    char path[4200];
    snprintf(path, sizeof path, "%s.lifted", log_path);
    return syscall(SYS_access, path, F_OK) == 0;
}

static void note(Entry *entry, const char *call, int kind, const char *path, long size) {
    char site[3000], line[8000];
    product_site(site, sizeof site);
    int length = snprintf(line, sizeof line, "%s\t%d\t%s\t%ld\t%s\t%.1000s\t%s\t%ld\t%d\n", role, armed_pid, entry->fault,
                          entry->seen, call, path, site, size, kind);
    put_log(line, length);
}

static void die(void) {
    for (;;) syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
}

/* Returns PASS or what the caller has to do; errno is set for ERROR. */
static int decide(const char *call, int kind, const char *path, long size) {
    if (!armed_pid || busy || armed_pid != syscall(SYS_getpid)) return PASS;
    int answer = PASS, kept = errno;
    busy = 1;
    for (int i = 0; i < entry_count; i++) {
        Entry *entry = &entries[i];
        if (!(entry->kinds & kind)) continue;
        if (entry->disk_only && (path[0] != '/' || !strncmp(path, "/dev/", 5) || !strncmp(path, "/proc/", 6))) {
            if (strncmp(path, "/dev/shm/", 9)) continue;
        }
        if (entry->act == SHORT && size < 2) continue;
        if (entry->call[0] && strcmp(entry->call, call)) continue;
        if (entry->site[0]) {
            char site[3000];
            product_site(site, sizeof site);
            if (!strstr(entry->site[0] == '/' ? path : site, entry->site)) continue;
        }
        entry->seen++;
        if (entry->seen < entry->first) continue;
        if (entry->times >= 0 && entry->seen >= entry->first + entry->times) continue;
        if (entry->times < 0 && entry->act == ERROR && lifted()) continue;
        if (entry->act != TRACE && entry->act != STOP_AFTER && !is_ours(i)) continue;
        if (entry->act == TRACE || entry->act == STOP_AFTER || entry->times >= 0 || entry->seen == entry->first) note(entry, call, kind, path, size);
        if (entry->act == TRACE) continue;
        if (entry->act == KILL_BEFORE) die();
        answer = entry->act;
        kept = entry->error ? entry->error : kept;
        break;
    }
    busy = 0;
    errno = kept;
    return answer;
}

static void after(int answer) {
    int kept = errno;
    if (answer == KILL_AFTER) die();
    if (answer == STOP_AFTER) syscall(SYS_kill, syscall(SYS_getpid), SIGSTOP);
    errno = kept;
}

static const char *path_of(int fd, char *into) {
    char link[64];
    if (!armed_pid) return "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, into, 1000);
    into[length > 0 ? length : 0] = 0;
    return into;
}

static const char *path_at(int folder, const char *name, char *into) {
    if (!armed_pid || name[0] == '/') return name;
    if (folder == AT_FDCWD) {
        if (syscall(SYS_getcwd, into, 1000) <= 0) into[0] = 0;
    } else {
        path_of(folder, into);
    }
    size_t used = strlen(into);
    snprintf(into + used, 2000 - used, "/%s", name);
    return into;
}

#define GUARD(call, kind, path, size, failed) \
    int answer = decide(call, kind, path, size); \
    if (answer == ERROR) return failed;
#define FINISH(type, expression) \
    type result = (type)(expression); \
    if (answer != PASS) after(answer); \
    return result;

static int open_kind(int flags) {
    return flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC) ? OPENW : OPENR;
}

#define OPEN(symbol) \
    int symbol(const char *path, int flags, ...) { \
        mode_t mode = 0; \
        char full[2000]; \
        if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
        GUARD("open", open_kind(flags), path_at(AT_FDCWD, path, full), 0, -1) \
        FINISH(int, syscall(SYS_openat, AT_FDCWD, path, flags, mode)) \
    }
OPEN(open)
OPEN(open64)
int __open_2(const char *path, int flags) { return open(path, flags); }
int __open64_2(const char *path, int flags) { return open64(path, flags); }
#define OPENAT(symbol) \
    int symbol(int folder, const char *path, int flags, ...) { \
        mode_t mode = 0; \
        char full[2000]; \
        if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
        GUARD("openat", open_kind(flags), path_at(folder, path, full), 0, -1) \
        FINISH(int, syscall(SYS_openat, folder, path, flags, mode)) \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *bytes, size_t size) {
    char full[2000];
    GUARD("write", WRITE, path_of(fd, full), (long)size, -1)
    if (answer == SHORT || answer == KILL_MID) size = (size + 1) / 2;
    ssize_t result = syscall(SYS_write, fd, bytes, size);
    if (answer == KILL_MID) die();
    if (answer != PASS) after(answer);
    return result;
}

ssize_t read(int fd, void *bytes, size_t size) {
    char full[2000];
    GUARD("read", READ, path_of(fd, full), (long)size, -1)
    FINISH(ssize_t, syscall(SYS_read, fd, bytes, size))
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) {
    GUARD("send", SOCKET, "", (long)size, -1)
    FINISH(ssize_t, syscall(SYS_sendto, fd, bytes, size, flags, NULL, 0))
}
ssize_t recv(int fd, void *bytes, size_t size, int flags) {
    GUARD("recv", SOCKET, "", (long)size, -1)
    FINISH(ssize_t, syscall(SYS_recvfrom, fd, bytes, size, flags, NULL, NULL))
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    GUARD("sendmsg", SOCKET, "", 0, -1)
    FINISH(ssize_t, syscall(SYS_sendmsg, fd, message, flags))
}
ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    GUARD("recvmsg", SOCKET, "", 0, -1)
    FINISH(ssize_t, syscall(SYS_recvmsg, fd, message, flags))
}
int connect(int fd, const struct sockaddr *address, socklen_t size) {
    GUARD("connect", SOCKET, "", 0, -1)
    FINISH(int, syscall(SYS_connect, fd, address, size))
}

#define PREAD(symbol) \
    ssize_t symbol(int fd, void *bytes, size_t size, off_t offset) { \
        char full[2000]; \
        GUARD("pread", READ, path_of(fd, full), (long)size, -1) \
        FINISH(ssize_t, syscall(SYS_pread64, fd, bytes, size, offset)) \
    }
PREAD(pread)
PREAD(pread64)

ssize_t sendfile(int out, int in, off_t *offset, size_t size) {
    char full[2000];
    GUARD("sendfile", WRITE, path_of(out, full), 0, -1)
    FINISH(ssize_t, syscall(SYS_sendfile, out, in, offset, size))
}
ssize_t sendfile64(int out, int in, off_t *offset, size_t size) { return sendfile(out, in, offset, size); }

int rename(const char *from, const char *to) {
    char full[2000];
    GUARD("rename", NAME, path_at(AT_FDCWD, to, full), 0, -1)
    FINISH(int, syscall(SYS_rename, from, to))
}
int renameat(int a, const char *from, int b, const char *to) {
    char full[2000];
    GUARD("rename", NAME, path_at(b, to, full), 0, -1)
    FINISH(int, syscall(SYS_renameat2, a, from, b, to, 0))
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    char full[2000];
    GUARD("renameat2", NAME, path_at(b, to, full), 0, -1)
    FINISH(int, syscall(SYS_renameat2, a, from, b, to, flags))
}
int link(const char *from, const char *to) {
    char full[2000];
    GUARD("link", NAME, path_at(AT_FDCWD, to, full), 0, -1)
    FINISH(int, syscall(SYS_link, from, to))
}
int linkat(int a, const char *from, int b, const char *to, int flags) {
    char full[2000];
    GUARD("link", NAME, path_at(b, to, full), 0, -1)
    FINISH(int, syscall(SYS_linkat, a, from, b, to, flags))
}
int symlink(const char *from, const char *to) {
    char full[2000];
    GUARD("symlink", NAME, path_at(AT_FDCWD, to, full), 0, -1)
    FINISH(int, syscall(SYS_symlink, from, to))
}
int unlink(const char *path) {
    char full[2000];
    GUARD("unlink", NAME, path_at(AT_FDCWD, path, full), 0, -1)
    FINISH(int, syscall(SYS_unlink, path))
}
int unlinkat(int folder, const char *path, int flags) {
    char full[2000];
    GUARD(flags & AT_REMOVEDIR ? "rmdir" : "unlink", NAME, path_at(folder, path, full), 0, -1)
    FINISH(int, syscall(SYS_unlinkat, folder, path, flags))
}
int rmdir(const char *path) {
    char full[2000];
    GUARD("rmdir", NAME, path_at(AT_FDCWD, path, full), 0, -1)
    FINISH(int, syscall(SYS_rmdir, path))
}
int mkdir(const char *path, mode_t mode) {
    char full[2000];
    GUARD("mkdir", NAME, path_at(AT_FDCWD, path, full), 0, -1)
    FINISH(int, syscall(SYS_mkdir, path, mode))
}
int mkdirat(int folder, const char *path, mode_t mode) {
    char full[2000];
    GUARD("mkdir", NAME, path_at(folder, path, full), 0, -1)
    FINISH(int, syscall(SYS_mkdirat, folder, path, mode))
}
int fsync(int fd) {
    char full[2000];
    GUARD("fsync", FSYNC, path_of(fd, full), 0, -1)
    FINISH(int, syscall(SYS_fsync, fd))
}
int fdatasync(int fd) {
    char full[2000];
    GUARD("fdatasync", FSYNC, path_of(fd, full), 0, -1)
    FINISH(int, syscall(SYS_fdatasync, fd))
}
int ftruncate(int fd, off_t size) {
    char full[2000];
    GUARD("ftruncate", SPACE, path_of(fd, full), 0, -1)
    FINISH(int, syscall(SYS_ftruncate, fd, size))
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }
int posix_fallocate(int fd, off_t offset, off_t size) {
    char full[2000];
    GUARD("fallocate", SPACE, path_of(fd, full), 0, errno)
    FINISH(int, syscall(SYS_fallocate, fd, 0, offset, size) ? errno : 0)
}
int posix_fallocate64(int fd, off_t offset, off_t size) { return posix_fallocate(fd, offset, size); }
int pipe2(int fds[2], int flags) {
    GUARD("pipe", PIPE, "", 0, -1)
    FINISH(int, syscall(SYS_pipe2, fds, flags))
}
int pipe(int fds[2]) { return pipe2(fds, 0); }

static pid_t fork_of(const char *call) {
    static pid_t (*real)(void);
    if (!real) real = dlsym(RTLD_NEXT, "fork");
    GUARD(call, PROCESS, "", 0, -1)
    pid_t pid = real();
    if (pid == 0) {
        if (answer == KILL_FORKED) die();
        if (follows && armed_pid) armed_pid = syscall(SYS_getpid);
        doomed = answer == KILL_EXEC && !forks_wrappers; /* a wrapper executes nothing: its tool does */
        if (forks_wrappers) {
            forks_wrappers = 0;
            aispool_fault_arm("wrapper");
        }
    } else if (answer != PASS) {
        after(answer);
    }
    return pid;
}
pid_t fork(void) { return fork_of("fork"); }

/* A function that calls vfork cannot return; so one that is not armed jumps to the real one. */
__attribute__((used)) static pid_t played_vfork(void) { return fork_of("vfork"); }
#ifdef __x86_64__
__attribute__((used)) static pid_t (*real_vfork)(void);
__asm__(".text\n.globl vfork\n.type vfork,@function\nvfork:\n"
        "  cmpl $0, armed_pid(%rip)\n  jne played_vfork\n"
        "  cmpq $0, real_vfork(%rip)\n  je played_vfork\n"
        "  jmp *real_vfork(%rip)\n.size vfork,.-vfork\n");
__attribute__((constructor)) static void find_vfork(void) { real_vfork = dlsym(RTLD_NEXT, "vfork"); }
#else
pid_t vfork(void) { return played_vfork(); }
#endif

int execve(const char *path, char *const argv[], char *const envp[]) {
    if (doomed) die();
    return syscall(SYS_execve, path, argv, envp);
}
int execv(const char *path, char *const argv[]) { return execve(path, argv, environ); }
int execvp(const char *file, char *const argv[]) {
    static int (*real)(const char *, char *const[]);
    if (!real) real = dlsym(RTLD_NEXT, "execvp");
    if (in_tmux) { /* so it starts what a session is for; what it runs besides it starts by execv */
        armed_pid = syscall(SYS_getpid);
        doomed = decide("exec", EXEC, file, 0) == KILL_EXEC;
        armed_pid = 0;
    }
    if (doomed) die();
    return real(file, argv);
}
pid_t waitpid(pid_t pid, int *status, int options) {
    static pid_t (*real)(pid_t, int *, int);
    if (!real) real = dlsym(RTLD_NEXT, "waitpid");
    GUARD("waitpid", WAIT, "", 0, -1)
    FINISH(pid_t, real(pid, status, options))
}
