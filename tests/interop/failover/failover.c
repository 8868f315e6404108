/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * failover NAME PROGRAM [NAME PROGRAM]...   NAME is rust or python, PROGRAM its node; see run.sh.
 *
 * Three senders live on node A, Olga on node B hears them. A is killed while they send: they are told B's URL at the
 * next dial. Then A comes back with Otto on it, B is frozen and killed, and everybody but him is told A's.
 *
 * What the servers are like, and is not held against the client:
 * - both subscribe to a channel in the background, so what is broadcast right after the first join on a node may not
 *   reach it: probes go first, until everybody is heard;
 * - the Rust server delivers each broadcast in a task of its own: its order is not judged;
 * - on the Python server the users of a killed node stay in the lists of presence for up to 90 s: there, everybody
 *   must be listed as of now, but nobody is asked to be gone.
 */
#include "failover.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEFORE 50 /* messages of each sender that are heard before a node dies */
#define AFTER 100 /* and accepted after the rejoin */
#define DROPS 20  /* messages that Dora loses in each outage */

static const char *server;
static const char *stage = "";
static int passed_checks, failed_checks;

int check(int passed, const char *what, const char *format, ...)
{
    va_list arguments;
    printf("%s %s, %s%s: ", passed ? "ok" : "FAILED", server, stage, what);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    passed ? passed_checks++ : failed_checks++;
    return passed;
}

static int present(int who)
{
    return peers[who].client != NULL;
}

/* Unexpected events of anybody: what the last was. */
static int quiet(const char **what)
{
    int who, errors = 0;
    *what = "none";
    for (who = 0; who < PEERS; who++) {
        if (peers[who].errors) *what = peers[who].error;
        errors += peers[who].errors;
    }
    return errors == 0;
}

static int all_joined(int from, int to)
{
    int who;
    for (who = from; who < to; who++) {
        if (present(who) && pond_channel_state(peers[who].channel) != POND_CHANNEL_JOINED) return 0;
    }
    return 1;
}

/* Has everybody heard this phase's probe of the listener, and the listener those of the senders? */
static int heard_probes(int listener)
{
    int who;
    for (who = 0; who < SENDERS; who++) {
        if (peers[listener].probed[who] != phase || peers[who].probed[listener] != phase) return 0;
    }
    return 1;
}

static int everybody_listed(int exactly)
{
    int who, other, people = 0;
    for (who = 0; who < PEERS; who++) people += present(who);
    for (who = 0; who < PEERS; who++) {
        if (!present(who)) continue;
        for (other = 0; other < PEERS; other++) {
            int found = present(other) ? presence_count(who, other) : 1;
            if (exactly ? found != 1 : found < 1) return 0;
        }
        if (exactly && presence_length(who) != people) return 0;
    }
    return 1;
}

/* Until everybody hears and sees everybody. Nodes learn of each other in the background; a presence update makes them
 * tell their lists. */
static int acquaint(int listener, int exactly)
{
    int rounds = 0, listed = 0, who;
    int64_t deadline = now_ms() + DEADLINE_MS;
    phase++;
    judge = listener;
    while (!heard_probes(listener) && now_ms() < deadline) {
        int64_t round = now_ms() + 20;
        rounds++;
        for (who = 0; who < SENDERS; who++) say(who, "message", "{\"probe\":%d}", phase);
        say(listener, "message", "{\"probe\":%d}", phase);
        while (!heard_probes(listener) && now_ms() < round) pump(5);
    }
    if (!check(heard_probes(listener), "clients on different nodes hear each other", "%d rounds of probes", rounds)) {
        return 0;
    }
    rounds = 0;
    /* Asked once per look: the Rust server may deliver an older list after a newer one, and the next look sees that. */
    while (!(listed = everybody_listed(exactly)) && now_ms() < deadline) {
        int64_t round = now_ms() + 50;
        rounds++;
        for (who = 0; who < PEERS; who++) {
            if (present(who)) tell_presence(who);
        }
        while (!(listed = everybody_listed(exactly)) && now_ms() < round) pump(5);
        if (listed) break;
    }
    if (!check(listed, "all lists of presence hold everybody", "%d rounds of updates%s", rounds,
               exactly ? ", nobody twice" : "")) {
        return 0;
    }
    for (who = 0; who < SENDERS; who++) {
        /* Proves all of that to have arrived, so that none of it is in doubt later. */
        if (!sync_peer(who)) return check(0, "a request before the sending", "of %s was not answered", peers[who].name);
    }
    return 1;
}

static int heard_enough(void)
{
    int who;
    for (who = 0; who < SENDERS; who++) {
        if (peers[who].arrivals < BEFORE || peers[who].last_ok < 0) return 0;
    }
    return 1;
}

static int blocked(int *count)
{
    int who, all = 1, one;
    for (who = 0; who < SENDERS; who++) {
        sender_blocked(who, &one, &count[who]);
        all &= one;
    }
    return all;
}

static int sent_after(const int *count)
{
    int who;
    for (who = 0; who < SENDERS; who++) {
        if (sender_count(who) < count[who] + AFTER) return 0;
    }
    return 1;
}

static int moved(int to, const int *told, const int *joined, int last)
{
    int who;
    for (who = 0; who <= last; who++) {
        if (peers[who].told[to] <= told[who] || peers[who].joined <= joined[who]) return 0;
    }
    return all_joined(0, last + 1);
}

/* Kills the node where everybody up to `last` is, while the senders send to `listener` on the other one. */
static int fail_over(int from, int last, int freeze)
{
    int to = 1 - from, exact = strcmp(server, "rust") == 0, who, told[PEERS], joined[PEERS], lost[PEERS], ok = 1;
    int at_kill[SENDERS] = {0}, at_rejoin[SENDERS] = {0};
    uint32_t connects[PEERS];
    peers[DORA].drops_wanted = DROPS;
    for (who = 0; who <= last; who++) {
        told[who] = peers[who].told[to];
        joined[who] = peers[who].joined;
        lost[who] = peers[who].lost;
        connects[who] = peers[who].connect_count;
    }
    for (who = 0; who < SENDERS; who++) sender_start(who);
    UNTIL(heard_enough());
    ok = check(heard_enough(), "all senders are heard through the other node", "%d, %d, %d messages",
               peers[ANNA].arrivals, peers[BERT].arrivals, peers[DORA].arrivals);
    if (ok && freeze) {
        node_freeze(from);
        UNTIL(blocked(at_kill));
        ok = check(blocked(at_kill), "the frozen node is still sent to", "up to numbers %d, %d, %d", at_kill[ANNA],
                   at_kill[BERT], at_kill[DORA]);
    }
    for (who = 0; who <= last; who++) peers[who].target = to;
    node_kill(from);
    if (ok) {
        UNTIL(moved(to, told, joined, last));
        for (who = 0; who <= last; who++) {
            peer *self = &peers[who];
            char what[100];
            snprintf(what, sizeof what, "%s is told the other node at the next dial and rejoins by itself",
                     self->name);
            ok &= check(self->told[to] == told[who] + 1 && self->lost == lost[who] + 1 &&
                            self->connect_count == connects[who] + 1 && self->joined == joined[who] + 1 &&
                            pond_channel_state(self->channel) == POND_CHANNEL_JOINED,
                        what, "dials %d, links lost %d, connects %u, joins %d", self->told[to] - told[who],
                        self->lost - lost[who], (unsigned)(self->connect_count - connects[who]),
                        self->joined - joined[who]);
        }
    }
    if (ok) {
        for (who = 0; who < SENDERS; who++) at_rejoin[who] = sender_count(who);
        UNTIL(sent_after(at_rejoin));
        ok = check(sent_after(at_rejoin), "the senders go on", "%d, %d, %d sent since",
                   sender_count(ANNA) - at_rejoin[ANNA], sender_count(BERT) - at_rejoin[BERT],
                   sender_count(DORA) - at_rejoin[DORA]);
    }
    for (who = 0; who < SENDERS; who++) sender_stop(who);
    if (!ok) return 0;
    UNTIL(peers[ANNA].pending + peers[BERT].pending + peers[DORA].pending == 0);
    judge_senders(!exact, freeze ? at_kill : NULL);
    return 1;
}

static void run(const char *program)
{
    const char *error;
    int exact = strcmp(server, "rust") == 0, who, ok;
    stage = "";
    redis_start();
    node_start(NODE_A, program, server);
    node_start(NODE_B, program, server);
    peers_start();
    for (who = 0; who < SENDERS; who++) peer_start(who, NODE_A);
    peer_start(OLGA, NODE_B);
    UNTIL(all_joined(0, PEERS));
    ok = check(all_joined(0, PEERS), "clients join on both nodes", "three on A, one on B") && acquaint(OLGA, exact);
    if (ok) {
        stage = "A killed: ";
        ok = fail_over(NODE_A, DORA, 0) && acquaint(OLGA, exact);
    }
    if (ok) {
        stage = "A back: ";
        node_start(NODE_A, program, server);
        peer_start(OTTO, NODE_A);
        UNTIL(all_joined(0, PEERS));
        ok = check(all_joined(0, PEERS), "a client joins there", "four on B, one on A") && acquaint(OTTO, exact);
    }
    if (ok) {
        stage = "B frozen and killed: ";
        ok = fail_over(NODE_B, OLGA, 1) && acquaint(OTTO, exact);
    }
    stage = "";
    if (ok) judge_end();
    ok = quiet(&error);
    check(ok, "nothing else happens", "%s", error);
    peers_end();
    processes_end();
}

int main(int argc, char **argv)
{
    int i;
    int32_t ended;
    if (argc < 3 || argc % 2 == 0) {
        fprintf(stderr, "usage: failover NAME PROGRAM [NAME PROGRAM]...\n");
        return 2;
    }
    for (i = 1; i < argc; i += 2) {
        server = argv[i];
        run(argv[i + 1]);
    }
    server = "library";
    ended = pond_shutdown(DEADLINE_MS);
    check(ended == POND_OK, "everything ends", "%s", pond_status_name(ended));
    printf("%d passed, %d failed\n", passed_checks, failed_checks);
    return failed_checks != 0;
}
