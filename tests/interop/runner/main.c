/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * runner --server NAME --command PROGRAM [--round N] [--jobs N] [--results FILE] [PART OF AN ID]
 * runner --list | --check
 *
 * Runs the scenarios, each in its own process, some at a time, and writes one JSON line for each.
 */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { JOBS = 16, LIMIT_MS = 180000, SETUP_MS = 900000 };

typedef struct job {
    const scenario *scenario;
    pid_t pid;
    int fd;
    int64_t started;
    char seen[8192];
    size_t len;
} job;

static FILE *results;
static int round_number = 1, passed, failed;

/* ---- tables ------------------------------------------------------------------------------------------------- */

static const difference *difference_of(const char *server, const char *id)
{
    const difference *d;
    for (d = differences; d->server; d++)
        if (!strcmp(d->server, server) && !strcmp(d->id, id)) return d;
    return NULL;
}

static const recording *recording_of(const char *id)
{
    const recording *r;
    for (r = recordings; r->id; r++)
        if (!strcmp(r->id, id)) return r;
    return NULL;
}

static const scenario *scenario_of(const char *id)
{
    const scenario *s;
    for (s = scenarios; s->id; s++)
        if (!strcmp(s->id, id)) return s;
    return NULL;
}

static int has_word(const char *words, const char *word)
{
    size_t len = strlen(word);
    const char *at = words;
    for (; (at = strstr(at, word)); at += len)
        if ((at == words || at[-1] == ' ') && (at[len] == 0 || at[len] == ' ')) return 1;
    return 0;
}

/* Each topic has a scenario, each word of `covers` is a topic, each difference and recording names a scenario. */
static int check_tables(void)
{
    const topic *t;
    const scenario *s;
    const difference *d;
    const recording *r;
    int bad = 0;
    for (t = topics; t->tag; t++) {
        int covered = 0;
        for (s = scenarios; s->id; s++) covered += has_word(s->covers, t->tag);
        if (!covered) bad++, fprintf(stderr, "runner: no scenario covers %s (%s)\n", t->tag, t->text);
    }
    for (s = scenarios; s->id; s++) {
        char *words = strdup(s->covers), *word;
        if (scenario_of(s->id) != s) bad++, fprintf(stderr, "runner: two scenarios %s\n", s->id);
        for (word = strtok(words, " "); word; word = strtok(NULL, " ")) {
            for (t = topics; t->tag && strcmp(t->tag, word); t++) {
            }
            if (!t->tag) bad++, fprintf(stderr, "runner: %s covers %s, which is no topic\n", s->id, word);
        }
        free(words);
    }
    for (d = differences; d->server; d++) {
        if (!scenario_of(d->id)) bad++, fprintf(stderr, "runner: no scenario %s (%s)\n", d->id, d->server);
        if (difference_of(d->server, d->id) != d)
            bad++, fprintf(stderr, "runner: two differences for %s %s\n", d->server, d->id);
        if (!d->reason[0]) bad++, fprintf(stderr, "runner: no reason for %s %s\n", d->server, d->id);
    }
    for (s = trials; s->id; s++)
        if (!scenario_of(s->id)) bad++, fprintf(stderr, "runner: no scenario %s (trial)\n", s->id);
    for (r = recordings; r->id; r++)
        if (!scenario_of(r->id)) bad++, fprintf(stderr, "runner: no scenario %s (recorded %s)\n", r->id, r->recorded);
    return bad;
}

/* ---- output ------------------------------------------------------------------------------------------------- */

static void put(FILE *out, const char *key, const char *value, const char *after)
{
    const unsigned char *c = (const unsigned char *)value;
    fprintf(out, "\"%s\":\"", key);
    for (; *c; c++) {
        if (*c == '"' || *c == '\\') fprintf(out, "\\%c", *c);
        else if (*c < 32) fprintf(out, "\\u%04x", *c);
        else fputc(*c, out);
    }
    fprintf(out, "\"%s", after);
}

static void list(void)
{
    const scenario *s;
    const topic *t;
    for (t = topics; t->tag; t++) {
        putchar('{');
        put(stdout, "topic", t->tag, ",");
        put(stdout, "text", t->text, "}\n");
    }
    for (s = scenarios; s->id; s++) {
        putchar('{');
        put(stdout, "scenario", s->id, ",");
        put(stdout, "title", s->title, ",");
        put(stdout, "covers", s->covers, ",");
        put(stdout, "expected", s->expected, "}\n");
    }
    for (s = trials; s->id; s++) {
        putchar('{');
        put(stdout, "trial", s->id, ",");
        put(stdout, "title", s->title, "}\n");
    }
}

static void judge(const job *job, int status)
{
    const scenario *s = job->scenario;
    const difference *d = client_name ? NULL : difference_of(server_name, s->id);
    const recording *played = server_is("js-replay") ? recording_of(s->id) : NULL;
    const char *expected = played ? played->expected : d ? d->expected : s->expected;
    char seen[9000];
    int ok;
    if (WIFSIGNALED(status))
        snprintf(seen, sizeof seen, "%.8000s; %s", job->seen,
                 WTERMSIG(status) == SIGKILL ? "hangs" : strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status)) snprintf(seen, sizeof seen, "%.8000s; exit code %d", job->seen, WEXITSTATUS(status));
    else snprintf(seen, sizeof seen, "%s", job->seen);
    if (client_name && !strcmp(seen, "-")) return;
    ok = WIFEXITED(status) && WEXITSTATUS(status) == 0 && fnmatch(expected, seen, 0) == 0;
    if (ok) passed++;
    else failed++;
    printf("%s %-9s %-24s %5.1f s  %s\n",
           ok            ? "ok    "
           : client_name ? "differs"
                         : "FAILED",
           server_name, s->id, (double)(now_ms() - job->started) / 1000, seen);
    if (!ok) printf("       expected: %s\n", expected);
    fflush(stdout);
    if (!results) return;
    fputc('{', results);
    put(results, "server", server_name, ",");
    put(results, "client", client_name ? client_name : "", ",");
    put(results, "id", s->id, ",");
    put(results, "seen", seen, ",");
    put(results, "expected", expected, ",");
    put(results, "reason", d ? d->reason : "", ",");
    fprintf(results, "\"round\":%d,\"ok\":%s}\n", round_number, ok ? "true" : "false");
    fflush(results);
}

/* ---- running ------------------------------------------------------------------------------------------------ */

static void launch(job *job, const scenario *s, void (*run)(void))
{
    int out[2];
    memset(job, 0, sizeof *job);
    if (pipe2(out, O_CLOEXEC) < 0) exit(2);
    job->scenario = s;
    job->started = now_ms();
    job->pid = fork();
    if (job->pid < 0) exit(2);
    if (job->pid == 0) {
        /* Owns its group: with it go the servers that it started. */
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        scenario_id = s->id;
        result_to(out[1]);
        run();
        finish();
    }
    setpgid(job->pid, job->pid);
    close(out[1]);
    job->fd = out[0];
}

static void read_result(job *job)
{
    ssize_t got;
    while (job->len < sizeof job->seen - 1 &&
           (got = read(job->fd, job->seen + job->len, sizeof job->seen - 1 - job->len)) > 0)
        job->len += (size_t)got;
    job->seen[job->len] = 0;
}

/* Takes a job that has ended, or one that hangs. */
static int reap(job *jobs, int most)
{
    int i, status, freed = 0;
    for (i = 0; i < most; i++) {
        if (!jobs[i].pid) continue;
        if (now_ms() - jobs[i].started > LIMIT_MS) kill(jobs[i].pid, SIGKILL);
        else if (waitpid(jobs[i].pid, &status, WNOHANG) != jobs[i].pid) continue;
        else goto ended;
        while (waitpid(jobs[i].pid, &status, 0) < 0 && errno == EINTR) {
        }
    ended:
        kill(-jobs[i].pid, SIGKILL);
        read_result(&jobs[i]);
        close(jobs[i].fd);
        judge(&jobs[i], status);
        jobs[i].pid = 0;
        freed++;
    }
    return freed;
}

static void run_all(int most, const char *part)
{
    job jobs[JOBS];
    const scenario *s = client_name ? trials : scenarios;
    int i, running = 0;
    memset(jobs, 0, sizeof jobs);
    while (s->id || running) {
        for (i = 0; i < most && s->id; s++) {
            void (*run)(void) = s->run;
            if (part && !strstr(s->id, part)) continue;
            /* Official clients do not get beyond the join there. */
            if (client_name && server_is("js-legacy") && !has_word(s->covers, "legacy")) continue;
            if (server_is("js-replay") && !client_name) {
                const recording *r = recording_of(s->id);
                if (!r) continue;
                run = r->run;
            }
            while (i < most && jobs[i].pid) i++;
            if (i == most) break;
            launch(&jobs[i], s, run);
            running++;
        }
        running -= reap(jobs, most);
        breathe();
    }
}

int main(int argc, char **argv)
{
    const char *part = NULL, *file = NULL;
    server shared = {0};
    int i, jobs = 4, bad = check_tables();
    signal(SIGPIPE, SIG_IGN);
    for (i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--list")) return list(), bad != 0;
        if (!strcmp(argv[i], "--check")) return bad != 0;
        if (!strcmp(argv[i], "--server")) server_name = value, i++;
        else if (!strcmp(argv[i], "--command")) server_command = value, i++;
        else if (!strcmp(argv[i], "--client")) client_name = value, i++;
        else if (!strcmp(argv[i], "--driver")) driver_command = value, i++;
        else if (!strcmp(argv[i], "--round")) round_number = atoi(value), i++;
        else if (!strcmp(argv[i], "--jobs")) jobs = atoi(value), i++;
        else if (!strcmp(argv[i], "--results")) file = value, i++;
        else part = argv[i];
    }
    if (bad || !server_name || !server_command || !client_name != !driver_command || jobs < 1 || jobs > JOBS) {
        fprintf(stderr, "usage: runner --server NAME --command PROGRAM [--round N] [--jobs N] [--results FILE] [PART]\n"
                        "       runner ... --client NAME --driver PROGRAM\n");
        return 2;
    }
    if (file && !(results = fopen(file, "a"))) return perror(file), 2;
    /* The first start may also build what the server needs. */
    if (!server_start(&shared, 0, SETUP_MS)) {
        fprintf(stderr, "runner: the %s server did not start\n", server_name);
        return 3;
    }
    shared_port = shared.port;
    run_all(jobs, part);
    server_kill(&shared);
    if (client_name) {
        printf("%s client, %s server: %d as good as ours, %d not\n", client_name, server_name, passed, failed);
        return !part && !(passed + failed);
    }
    printf("%s: %d passed, %d failed\n", server_name, passed, failed);
    return failed || !passed;
}
