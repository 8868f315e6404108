/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Signals and the state of the process: nothing is stolen, nothing is left behind, nothing is changed.
 */
#include "contract.h"

#include <dirent.h>
#include <locale.h>
#include <sys/resource.h>
#include <sys/stat.h>

extern char **environ;

/* ---- use of nearly everything ----------------------------------------------------------------------------------- */

static void use_all(void)
{
    server *server = server_start(1, NULL);
    pond_options *options = fast_options();
    pond_queue *queue;
    pond_client *queued, *pushed, *secure, *named;
    pond_channel *channel;
    pond_event *reply;
    tracked *it = track();
    char ca[200], where[64];
    int fd;
    OK(pond_log_set(POND_LOG_TRACE, on_call, track(), on_destroy));
    OK(pond_queue_new(&queue));
    OK(pond_queue_fd(queue, &fd));
    OK(pond_queue_set_wake(queue, on_call, track(), on_destroy));
    OK(pond_options_set_queue(options, queue));
    queued = chat("queued", options);
    pushed = chat("pushed", NULL);
    options = fast_options();
    snprintf(ca, sizeof ca, "%s/ca.pem", server->tls);
    OK(pond_options_set_ca_file(options, ca));
    secure = client_at(url("wss", server->port, "/script"), NULL, options);
    connected(secure);
    snprintf(where, sizeof where, "ws://localhost:%d/script", shared_port()); /* a name lookup */
    named = client_at(where, NULL, NULL);
    connected(named);
    IS(POND_TIMEOUT, pond_client_wait_state(client_at(url("wss", shared_port(), "/"), NULL, NULL),
                                            POND_CLIENT_CONNECTED, 10, NULL));
    channel = joined(pushed, room("all"), NULL);
    OK(pond_channel_on_message(channel, on_call, it, on_destroy, NULL));
    OK(pond_channel_send(channel, "flood", "{\"count\":200,\"size\":50}", NULL));
    UNTIL(it->calls == 200);
    OK(pond_channel_call(joined(queued, room("all"), NULL), "ping", NULL, DEADLINE, &reply, NULL));
    pond_event_free(reply);
    UNTIL(pond_queue_dispatch(queue, 0, 0) == 0);
    server_kill(server);
}

/* ---- SIGPIPE ---------------------------------------------------------------------------------------------------- */

static uint64_t connects_of(pond_client *client)
{
    pond_stats stats;
    OK(pond_client_stats(client, &stats, sizeof stats));
    return stats.connects;
}

static void reset_under_heavy_sending(void)
{
    proxy *proxy = proxy_start(shared_port());
    struct sigaction action;
    pond_client *client;
    pond_channel *channel;
    char *payload = calloc(1, 8001);
    int i, n = rounds(20);
    CHECK(payload != NULL);
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    memset(payload, ' ', 8000);
    payload[0] = '{';
    payload[7999] = '}';
    client = client_at(url("ws", proxy_port(proxy), "/script"), NULL, NULL);
    connected(client);
    channel = joined(client, room("reset"), NULL);
    for (i = 0; i < n; i++) {
        uint64_t before = connects_of(client);
        int32_t status = POND_OK;
        int k;
        for (k = 0; k < 100 || (status == POND_OK && k < 400); k++) {
            if (k == 50) proxy_reset(proxy);
            status = pond_channel_send(channel, "x", payload, NULL);
            if (status != POND_OK) IS(POND_ERROR_QUEUE_FULL, status);
        }
        UNTIL(connects_of(client) > before);
        OK(pond_channel_wait_state(channel, POND_CHANNEL_JOINED, DEADLINE, NULL));
    }
    CHECK(sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    OK(pond_client_free(client));
    OK(pond_shutdown(DEADLINE));
    proxy_stop(proxy);
    free(payload);
}

/* ---- signals ---------------------------------------------------------------------------------------------------- */

/* The blocked signals of a thread, a bit each. */
static uint64_t blocked_of(const char *task)
{
    char path[320], line[256];
    uint64_t mask = 0;
    FILE *file;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", task);
    file = fopen(path, "re");
    if (!file) return UINT64_MAX; /* it has ended */
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "SigBlk:", 7) == 0) mask = strtoull(line + 7, NULL, 16);
    fclose(file);
    return mask;
}

static int library_threads_block_all(pid_t own)
{
    /* KILL and STOP cannot be blocked, and glibc keeps 32 and 33 for itself. */
    const uint64_t never = UINT64_C(1) << (SIGKILL - 1) | UINT64_C(1) << (SIGSTOP - 1) | UINT64_C(3) << 31;
    DIR *directory = opendir("/proc/self/task");
    struct dirent *entry;
    int seen = 0;
    CHECK(directory != NULL);
    while ((entry = readdir(directory))) {
        uint64_t mask;
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == own) continue;
        mask = blocked_of(entry->d_name);
        if ((mask | never) != UINT64_MAX) FAIL("thread %s blocks only %llx", entry->d_name, (unsigned long long)mask);
        seen++;
    }
    closedir(directory);
    return seen;
}

static void threads_block_signals(void)
{
    sigset_t before, after;
    int i;
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &before) == 0);
    use_all();
    CHECK(library_threads_block_all(thread_id()) >= 2);
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &after) == 0);
    for (i = 1; i < 65; i++) CHECK(sigismember(&before, i) == sigismember(&after, i));
}

static atomic_int handled, elsewhere;
static pid_t expected_thread;
static void note_signal(int number)
{
    (void)number;
    if (thread_id() == expected_thread) handled++;
    else elsewhere++;
}

static void signals_come_to_the_program(void)
{
    static const int signals[] = {SIGUSR1, SIGTERM, SIGALRM, SIGHUP};
    struct sigaction action;
    pond_client *client = chat("signals", NULL);
    pond_channel *channel = joined(client, room("signals"), NULL);
    tracked *it = track();
    sigset_t set, pending;
    int i, n = rounds(400);
    memset(&action, 0, sizeof action);
    action.sa_handler = note_signal;
    expected_thread = thread_id();
    OK(pond_channel_on_message(channel, on_call, it, on_destroy, NULL));
    for (i = 0; i < 4; i++) CHECK(sigaction(signals[i], &action, NULL) == 0);
    for (i = 0; i < n; i++) {
        int before = handled;
        if (i % 50 == 0) OK(pond_channel_send(channel, "flood", "{\"count\":200,\"size\":10}", NULL));
        CHECK(kill(getpid(), signals[i % 4]) == 0);
        UNTIL(handled + elsewhere > before);
    }
    CHECK(handled == n && elsewhere == 0);
    UNTIL(it->calls > 0);
    /* Blocked by the program, it stays pending: no thread of the library takes it. */
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    OK(pond_channel_send(channel, "flood", "{\"count\":200,\"size\":10}", NULL));
    usleep(50000);
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) && handled == n && elsewhere == 0);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
    CHECK(handled == n + 1 && elsewhere == 0);
}

/* Signals do not end waits. */
static void *send_signals(void *argument)
{
    int i;
    for (i = 0; i < 20; i++) {
        usleep(5000);
        pthread_kill(*(pthread_t *)argument, SIGUSR1);
    }
    return NULL;
}
static void signals_do_not_end_waits(void)
{
    struct sigaction action;
    pond_client *client = client_at(url("ws", shared_port(), "/script"), NULL, NULL);
    pond_queue *queue;
    pond_event *event;
    pthread_t self = pthread_self(), thread;
    int64_t begin;
    memset(&action, 0, sizeof action);
    action.sa_handler = note_signal; /* without SA_RESTART */
    expected_thread = thread_id();
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    OK(pond_queue_new(&queue));
    thread = start(send_signals, &self);
    begin = now_ms();
    IS(POND_TIMEOUT, pond_client_wait_state(client, POND_CLIENT_CONNECTED, 60, NULL));
    IS(POND_TIMEOUT, pond_queue_next(queue, 60, &event));
    CHECK(now_ms() - begin >= 118 && handled > 0);
    finish(thread);
}

/* ---- descriptors ------------------------------------------------------------------------------------------------ */

static void descriptors_close_on_exec(void)
{
    int before[1024], fd, seen = 0;
    for (fd = 0; fd < 1024; fd++) before[fd] = fcntl(fd, F_GETFD);
    use_all();
    for (fd = 0; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags < 0 || before[fd] >= 0) continue;
        if (!(flags & FD_CLOEXEC)) FAIL("descriptor %d stays open in programs that are executed", fd);
        seen++;
    }
    CHECK(seen > 4); /* sockets and the queue's */
}

/* ---- what the process is ---------------------------------------------------------------------------------------- */

static char *environment(void)
{
    size_t size = 1, i;
    char *all;
    for (i = 0; environ[i]; i++) size += strlen(environ[i]) + 1;
    all = calloc(1, size);
    CHECK(all != NULL);
    for (i = 0; environ[i]; i++) strcat(strcat(all, environ[i]), "\n");
    return all;
}

static void nothing_is_changed(void)
{
    struct sigaction before[65], after;
    char *env = environment(), **entries = environ, *again, cwd[512], cwd_after[512], *locale;
    struct rlimit files, files_after;
    mode_t mask = umask(0);
    int i;
    umask(mask);
    CHECK(setlocale(LC_ALL, "C") != NULL);
    locale = strdup(setlocale(LC_ALL, NULL));
    CHECK(locale && getcwd(cwd, sizeof cwd) && getrlimit(RLIMIT_NOFILE, &files) == 0);
    for (i = 1; i < 65; i++) {
        memset(&before[i], 0, sizeof before[i]);
        sigaction(i, NULL, &before[i]);
    }
    use_all();
    for (i = 0; i < 2; i++) { /* in use, and after the end */
        int number;
        for (number = 1; number < 65; number++) {
            memset(&after, 0, sizeof after);
            sigaction(number, NULL, &after);
            if (after.sa_handler != before[number].sa_handler || after.sa_flags != before[number].sa_flags)
                FAIL("signal %d has another disposition", number);
        }
        again = environment();
        CHECK(environ == entries && strcmp(env, again) == 0);
        free(again);
        CHECK(strcmp(locale, setlocale(LC_ALL, NULL)) == 0);
        CHECK(umask(mask) == mask);
        CHECK(getcwd(cwd_after, sizeof cwd_after) && strcmp(cwd, cwd_after) == 0);
        CHECK(getrlimit(RLIMIT_NOFILE, &files_after) == 0 && files.rlim_cur == files_after.rlim_cur);
        OK(pond_shutdown(DEADLINE));
    }
    free(env);
    free(locale);
}

/* Without a log sink nothing is printed, whatever happens. */
static void nothing_is_printed(void)
{
    FILE *scratch = tmpfile();
    int file = scratch ? fileno(scratch) : -1, out = dup(1), err = dup(2);
    pond_client *client;
    struct stat size;
    CHECK(file >= 0 && out >= 0 && err >= 0);
    fflush(NULL);
    dup2(file, 1);
    dup2(file, 2);
    client = client_at(url("ws", shared_port(), "/refuse/403"), NULL, NULL);
    OK(pond_client_connect(client));
    IS(POND_ERROR_HTTP, pond_client_wait_state(client, POND_CLIENT_CONNECTED, DEADLINE, NULL));
    pond_channel_send(channel_of(client, "/x%", NULL), "x", "[", NULL);
    connected(client_at(url("ws", shared_port(), "/script"), NULL, NULL));
    OK(pond_shutdown(DEADLINE));
    fflush(NULL);
    dup2(out, 1);
    dup2(err, 2);
    CHECK(fstat(file, &size) == 0);
    if (size.st_size) FAIL("%d bytes were printed", (int)size.st_size);
    fclose(scratch);
    close(out);
    close(err);
}

/* Without descriptors left: an error, no crash; with them again, all works, the client that was refused included. */
static void descriptors_run_out(void)
{
    struct rlimit limit, none;
    pond_options *options = fast_options();
    pond_queue *queue = NULL, *kept;
    pond_client *client;
    pond_error *error = NULL;
    int32_t status;
    int fd = dup(0), queue_fd;
    CHECK(fd >= 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0);
    none = limit;
    none.rlim_cur = (rlim_t)fd; /* the lowest free one is beyond it */
    close(fd);
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    IS(POND_ERROR_NO_MEMORY, pond_queue_new(&queue));
    client = (pond_client *)&limit;
    IS(POND_ERROR_NO_MEMORY, pond_client_new(url("ws", shared_port(), "/script"), NULL, NULL, &client, &error));
    CHECK(queue == NULL && client == NULL && pond_error_status(error) == POND_ERROR_NO_MEMORY);
    pond_error_free(error);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);

    OK(pond_queue_new(&kept));
    client = client_at(url("ws", shared_port(), "/script"), NULL, options);
    fd = dup(0);
    none.rlim_cur = (rlim_t)fd;
    close(fd);
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    IS(POND_ERROR_NO_MEMORY, pond_queue_fd(kept, &queue_fd));
    OK(pond_client_connect(client));
    status = pond_client_wait_state(client, POND_CLIENT_CONNECTED, ms(300), &error);
    CHECK(status == POND_TIMEOUT && pond_error_status(error) == POND_ERROR_CONNECT);
    pond_error_free(error);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    OK(pond_client_wait_state(client, POND_CLIENT_CONNECTED, DEADLINE, NULL));
    OK(pond_queue_fd(kept, &queue_fd));
}

const test process_tests[] = {
    {"reset_under_heavy_sending", reset_under_heavy_sending, 0},
    {"threads_block_signals", threads_block_signals, NATIVE},
    {"signals_come_to_the_program", signals_come_to_the_program, NATIVE},
    {"signals_do_not_end_waits", signals_do_not_end_waits, 0},
    {"descriptors_close_on_exec", descriptors_close_on_exec, 0},
    {"nothing_is_changed", nothing_is_changed, NATIVE},
    {"nothing_is_printed", nothing_is_printed, 0},
    {"descriptors_run_out", descriptors_run_out, NATIVE},
    {NULL, NULL, 0},
};
