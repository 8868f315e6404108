/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A PondSocket client as a C programmer would write it with libwebsockets and cJSON, their defaults kept:
 * `lws MODE URL N KIND CHANNELS`, modes as bench/README.md says.
 */
#include <cjson/cJSON.h>
#include <libwebsockets.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct connection {
    char *text;
    size_t len, capacity;
    unsigned joins, acknowledged;
    bool is_joined;
};

static struct {
    const char *mode, *host, *path;
    int port;
    uint64_t count, received, sent, window;
    unsigned channels;
    bool in_order, over, failed, measuring, gone;
    uint64_t joined;
    uint64_t wall_us, cpu_us;
} bench = {.in_order = true};

static uint64_t wall_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t cpu_us(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static bool mode_is(const char *mode) { return strcmp(bench.mode, mode) == 0; }
static bool asks(void) { return strncmp(bench.mode, "ask", 3) == 0; }

/* One message in one write, as lws wants it. */
static void write_message(struct lws *wsi, const char *action, const char *event, unsigned channel, cJSON *payload) {
    static uint64_t id;
    char text[64];
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "action", action);
    cJSON_AddStringToObject(message, "event", event);
    snprintf(text, sizeof text, "/room/%02u", channel);
    cJSON_AddStringToObject(message, "channelName", text);
    snprintf(text, sizeof text, "5f0c2a34-9d1e-4b7a-8c55-%012llu", (unsigned long long)id++);
    cJSON_AddStringToObject(message, "requestId", text);
    cJSON_AddItemToObject(message, "payload", payload ? payload : cJSON_CreateObject());
    char *json = cJSON_PrintUnformatted(message);
    size_t len = strlen(json);
    unsigned char *buffer = malloc(LWS_PRE + len);
    memcpy(buffer + LWS_PRE, json, len);
    if (lws_write(wsi, buffer + LWS_PRE, len, LWS_WRITE_TEXT) < 0) bench.failed = true;
    free(buffer);
    free(json);
    cJSON_Delete(message);
}

static cJSON *numbered(uint64_t number, bool pad) {
    char text[80];
    cJSON *payload = cJSON_CreateObject();
    snprintf(text, sizeof text, "%08llu", (unsigned long long)number);
    cJSON_AddStringToObject(payload, "n", text);
    if (pad) {
        cJSON_AddStringToObject(payload, "t", "0");
        memset(text, 'a', 69);
        text[69] = 0;
        cJSON_AddStringToObject(payload, "x", text);
    }
    return payload;
}

static bool wants_to_write(const struct connection *connection) {
    if (connection->joins < bench.channels) return true;
    if (!connection->is_joined || !bench.measuring) return false;
    if (mode_is("flood")) return !bench.gone;
    if (asks()) return bench.sent < bench.count && bench.sent < bench.received + bench.window;
    return mode_is("put") && bench.sent < bench.count;
}

static void write_next(struct lws *wsi, struct connection *connection) {
    if (connection->joins < bench.channels) {
        write_message(wsi, "JOIN_CHANNEL", "JOIN_CHANNEL", connection->joins++, NULL);
    } else if (mode_is("flood")) {
        bench.gone = true;
        write_message(wsi, "BROADCAST", "go", 0, NULL);
    } else if (asks()) {
        write_message(wsi, "BROADCAST", "ask", 0, numbered(bench.sent++, false));
    } else {
        write_message(wsi, "BROADCAST", "put", 0, numbered(bench.sent++, true));
    }
}

static void joined(void) {
    if (++bench.joined < (mode_is("idle") ? bench.count : 1)) return;
    if (mode_is("idle") || mode_is("start")) {
        bench.over = true;
        return;
    }
    bench.measuring = true;
    bench.wall_us = wall_us();
    bench.cpu_us = cpu_us();
}

static void saw(const cJSON *holder) {
    const char *number = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(holder, "n"));
    bench.in_order &= number && strtoull(number, NULL, 10) == bench.received;
    if (++bench.received == bench.count) bench.over = true;
}

static void take(struct connection *connection) {
    cJSON *message = cJSON_ParseWithLength(connection->text, connection->len);
    const char *action = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "action"));
    const char *event = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "event"));
    const cJSON *payload = cJSON_GetObjectItemCaseSensitive(message, "payload");
    if (!action || !event) {
        bench.failed = true;
    } else if (strcmp(event, "ACKNOWLEDGE") == 0) {
        if (++connection->acknowledged == bench.channels) {
            connection->is_joined = true;
            joined();
        }
    } else if (strcmp(action, "PRESENCE") == 0) {
        saw(cJSON_GetObjectItemCaseSensitive(payload, "changed"));
    } else if (strcmp(event, "end") == 0) {
        bench.over = true;
    } else if (strcmp(event, "done") == 0) {
        bench.in_order = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(payload, "in_order"));
        bench.received = bench.count;
        bench.over = true;
    } else if (strcmp(action, "CONNECT") != 0) {
        saw(payload);
    }
    cJSON_Delete(message);
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len) {
    struct connection *connection = user;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        lws_callback_on_writable(wsi);
        break;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        if (wants_to_write(connection)) write_next(wsi, connection);
        if (wants_to_write(connection)) lws_callback_on_writable(wsi);
        break;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        if (connection->len + len > connection->capacity) {
            connection->capacity = (connection->len + len) * 2;
            connection->text = realloc(connection->text, connection->capacity);
        }
        memcpy(connection->text + connection->len, in, len);
        connection->len += len;
        if (lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0) {
            take(connection);
            connection->len = 0;
            if (wants_to_write(connection)) lws_callback_on_writable(wsi);
        }
        break;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        fprintf(stderr, "lws: %s\n", in ? (const char *)in : "no connection");
        bench.failed = true;
        break;
    case LWS_CALLBACK_CLIENT_CLOSED:
        if (!bench.over) bench.failed = true;
        if (connection) free(connection->text);
        break;
    default:
        break;
    }
    return 0;
}

static long resident_kib(void) {
    char line[256];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status)) sscanf(line, "VmRSS: %ld", &kib);
    if (status) fclose(status);
    return kib;
}

int main(int argc, char **argv) {
    static char host[64];
    if (argc != 6 || sscanf(argv[2], "ws://%63[^:]:%d", host, &bench.port) != 2) {
        fprintf(stderr, "usage: lws MODE URL N KIND CHANNELS\n");
        return 2;
    }
    bench.mode = argv[1];
    bench.host = host;
    bench.path = strchr(argv[2] + 5, '/');
    bench.count = strtoull(argv[3], NULL, 10);
    bench.window = mode_is("ask64") ? 64 : 1;
    bench.channels = (unsigned)strtoul(argv[5], NULL, 10);
    lws_set_log_level(LLL_ERR, NULL);
    const struct lws_protocols protocols[] = {
        {.name = "pond", .callback = callback, .per_session_data_size = sizeof(struct connection)}, {0}};
    struct lws_context_creation_info creation = {.port = CONTEXT_PORT_NO_LISTEN, .protocols = protocols};
    struct lws_context *context = lws_create_context(&creation);
    if (!context) return 1;
    long before = resident_kib();
    uint64_t connections = mode_is("idle") ? bench.count : 1;
    for (uint64_t i = 0; i < connections && !bench.failed; i++) {
        struct lws_client_connect_info info = {.context = context,
                                               .address = bench.host,
                                               .port = bench.port,
                                               .path = bench.path,
                                               .host = bench.host,
                                               .origin = bench.host,
                                               .local_protocol_name = "pond"};
        if (!lws_client_connect_via_info(&info)) return 1;
        while (mode_is("idle") && bench.joined <= i && !bench.failed) lws_service(context, 0);
    }
    while (!bench.over && !bench.failed) lws_service(context, 0);
    if (bench.failed) return 1;
    if (mode_is("idle")) {
        printf("{\"connections\":%llu,\"rss_kib\":%ld}\n", (unsigned long long)bench.count, resident_kib() - before);
    } else if (mode_is("start")) {
        const char *started = getenv("BENCH_STARTED_NS");
        printf("{\"joined_us\":%lld}\n", (long long)wall_us() - atoll(started ? started : "0") / 1000);
    } else {
        uint64_t cpu = cpu_us() - bench.cpu_us, wall = wall_us() - bench.wall_us;
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        printf("{\"received\":%llu,\"in_order\":%s,\"cpu_us\":%llu,\"wall_us\":%llu,\"max_rss_kib\":%ld}\n",
               (unsigned long long)bench.received, bench.in_order ? "true" : "false", (unsigned long long)cpu,
               (unsigned long long)wall, usage.ru_maxrss);
    }
    fflush(stdout);
    /* Closing thousands of connections is not what is measured. */
    _exit(0);
}
