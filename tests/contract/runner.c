/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * contract-tests [SUITE] [PART-OF-A-NAME]: runs each test of shutdown, misuse or dials (none = of all) in a process of
 * its own, for a limited time, and tells how it ended.
 * contract-tests --one NAME: the test itself.
 */
#include "contract.h"

#include <sys/wait.h>

static const struct {
    const char *suite, *name;
    const test *tests;
} groups[] = {
    {"shutdown", "free", free_tests},     {"shutdown", "callback", callback_tests},
    {"shutdown", "end", end_tests},       {"shutdown", "shutdown", shutdown_tests},
    {"shutdown", "fork", fork_tests},     {"misuse", "misuse", misuse_tests},
    {"dials", "dial", dial_tests},        {"dials", "session", session_tests},
    {"dials", "tls", tls_tests},          {"dials", "process", process_tests},
};
enum { GROUPS = sizeof groups / sizeof *groups, LIMIT_MS = 120000 };

static const char *valgrind[] = {"valgrind",
                                 "-q",
                                 "--show-leak-kinds=definite,indirect",
                                 "--errors-for-leak-kinds=definite,indirect",
                                 "--suppressions=../c/valgrind.supp",
                                 "--error-exitcode=99",
                                 "--trace-children=no",
                                 "--child-silent-after-fork=yes",
                                 "--fair-sched=yes"};
enum { WORDS = sizeof valgrind / sizeof *valgrind };

static int one(const char *name)
{
    int threads = thread_count(), fds = fd_count();
    size_t g;
    const test *t;
    char full[128];
    int32_t status;
    for (g = 0; g < GROUPS; g++)
        for (t = groups[g].tests; t->name; t++) {
            snprintf(full, sizeof full, "%s/%s", groups[g].name, t->name);
            if (strcmp(full, name) != 0) continue;
            main_thread = pthread_self();
            t->run();
            if (t->flags & ENDS) FAIL("the process did not end");
            status = pond_shutdown(DEADLINE);
            if (status != POND_OK) FAIL("the last pond_shutdown: %s", pond_status_name(status));
            if (!destroyed_all()) FAIL("a destroy did not run");
            UNTIL(thread_count() == threads); /* a thread that was joined is listed for a moment longer */
            if (fd_count() != fds) FAIL("%d descriptors, %d before", fd_count(), fds);
            return 0;
        }
    FAIL("no such test");
}

static void become(const char *self, const char *name, int flags, int in_valgrind)
{
    const char *words[WORDS + 5];
    int n = 0;
    if (in_valgrind)
        while (n < WORDS) words[n] = valgrind[n], n++;
    if (in_valgrind) words[n++] = flags & FORKS ? "--leak-check=no" : "--leak-check=full";
    words[n++] = self;
    words[n++] = "--one";
    words[n++] = name;
    words[n] = NULL;
    setpgid(0, 0);
    execvp(words[0], (char *const *)words);
    _exit(126);
}

/* 1: passed. */
static int run(const char *self, const char *name, const test *t, int in_valgrind)
{
    int64_t end = now_ms() + ms(LIMIT_MS);
    int status = 0, expected = t->flags & ENDS ? EXIT_CODE : 0;
    pid_t got, pid = fork();
    if (pid == 0) become(self, name, t->flags, in_valgrind);
    if (pid < 0) return printf("FAILED %s: fork: %s\n", name, strerror(errno)), 0;
    while ((got = waitpid(pid, &status, WNOHANG)) == 0 && now_ms() < end) usleep(2000);
    kill(-pid, SIGKILL); /* what it left behind, or itself */
    if (got == 0) {
        waitpid(pid, &status, 0);
        return printf("FAILED %s: hangs\n", name), 0;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == expected) return printf("ok %s\n", name), 1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 1) return 0; /* it has said why */
    if (WIFEXITED(status) && WEXITSTATUS(status) == 99 && in_valgrind)
        printf("FAILED %s: valgrind found errors or leaks\n", name);
    else if (WIFEXITED(status))
        printf("FAILED %s: ended with code %d\n", name, WEXITSTATUS(status));
    else
        printf("FAILED %s: killed by signal %d\n", name, WTERMSIG(status));
    return 0;
}

int main(int argc, char **argv)
{
    int passed = 0, failed = 0, in_valgrind = getenv("VALGRIND") && strcmp(getenv("VALGRIND"), "1") == 0;
    server *shared;
    const char *suite = NULL, *part;
    char number[16], full[128];
    size_t g;
    const test *t;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && strcmp(argv[1], "--one") == 0) return one(argv[2]);
    for (g = 0; g < GROUPS && argc > 1; g++)
        if (strcmp(groups[g].suite, argv[1]) == 0) suite = argv[1];
    part = argc > 1 && !suite ? argv[1] : argc > 2 ? argv[2] : NULL;
    shared = server_start(0, NULL);
    snprintf(number, sizeof number, "%d", shared->port);
    setenv("CONTRACT_PORT", number, 1);
    for (g = 0; g < GROUPS; g++) {
        if (suite && strcmp(groups[g].suite, suite) != 0) continue;
        for (t = groups[g].tests; t->name; t++) {
            snprintf(full, sizeof full, "%s/%s", groups[g].name, t->name);
            if (part && !strstr(full, part)) continue;
            if (in_valgrind && t->flags & NATIVE) continue;
            if (run(argv[0], full, t, in_valgrind)) passed++;
            else failed++;
        }
    }
    server_kill(shared);
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed;
}
