/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The account: what became of every message and request of a phase.
 *
 * All items of a sender bear one sequence of numbers, and the library sends them in this order. So what a dead link
 * took with it is one run of numbers, and no longer than what the library says is in doubt.
 */
#include "failover.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct tally {
    int sent, heard, twice, lost_messages, lost_requests, first_lost, last_lost;
    int requests, answered, incomplete, odd, dropped_heard, refused_requests;
} tally;

static tally count_items(const peer *self)
{
    tally t = {0};
    int i;
    t.first_lost = t.last_lost = -1;
    for (i = self->first; i < self->count; i++) {
        const item *one = &self->items[i];
        int lost = 0;
        if (!one->accepted) continue;
        if (one->request) {
            t.requests++;
            t.answered += one->status == POND_OK;
            t.incomplete += one->completions != 1 || atomic_load(&one->destroyed) != 1;
            t.refused_requests += one->status == POND_ERROR_QUEUE_FULL;
            lost = one->status == POND_ERROR_CONNECTION_LOST;
            t.lost_requests += lost;
            t.odd += one->status != POND_OK && one->status != POND_ERROR_QUEUE_FULL && !lost;
        } else {
            t.sent++;
            t.heard += one->heard > 0;
            t.twice += one->heard > 1;
            t.dropped_heard += one->heard > 0 && one->dropped;
            t.odd += one->dropped > 1;
            lost = !one->heard && !one->dropped;
            t.lost_messages += lost;
        }
        if (lost) {
            if (t.first_lost < 0) t.first_lost = i;
            t.last_lost = i;
        }
    }
    return t;
}

static int lost_in_doubt(const peer *self, const tally *t)
{
    return t->lost_messages + t->lost_requests <= self->in_doubt + self->drops - self->drops_named;
}

/* On a busy machine many may be dropped before their reports are read: then reports are merged, and say how many, but
 * not which. Those count as lost here, and lie in the outage, between others that were dropped. */
static int lost_in_one_run(const peer *self, const tally *t)
{
    int merged = self->drops > self->drops_named;
    return t->first_lost < 0 || t->last_lost - t->first_lost < self->in_doubt + (merged ? self->drops : 0);
}

static int none_lost_in_outage(const peer *self, const tally *t)
{
    return t->last_lost < (self->drops > self->drops_named ? self->count_at_join : self->count_at_loss);
}

/* Is nothing lost that may not be? What is not there yet may be on its way. */
static int settled(const peer *self)
{
    tally t = count_items(self);
    return lost_in_doubt(self, &t) && lost_in_one_run(self, &t) && none_lost_in_outage(self, &t);
}

/* Was everything heard in order, on either side of one cut? What went through the dead node may come between what
 * went through the other, but each node keeps the order of a sender. */
static int in_order(const peer *self)
{
    int low = -1, high = ITEMS, i, j;
    for (i = 0; i < self->arrivals; i++) {
        for (j = i + 1; j < self->arrivals; j++) {
            if (self->arrival[i] <= self->arrival[j]) continue;
            if (self->arrival[j] > low) low = self->arrival[j];
            if (self->arrival[i] < high) high = self->arrival[i];
        }
    }
    return low < high;
}

void judge_senders(int ordered, const int *count_at_kill)
{
    int who;
    char what[100];
    for (who = 0; who < SENDERS; who++) sync_peer(who);
    sync_peer(judge);
    for (who = 0; who < SENDERS; who++) {
        peer *self = &peers[who];
        tally t;
        UNTIL(settled(self));
        t = count_items(self);
        snprintf(what, sizeof what, "%s: every message is heard, dropped or in doubt", self->name);
        check(t.sent > 0 && t.heard > 0 && self->refused == 0 && t.dropped_heard == 0 &&
                  lost_in_doubt(self, &t),
              what,
              "%d sent, %d heard, %d dropped (%d of them heard), %d in doubt: %d and %d requests lost; refused %d",
              t.sent, t.heard, self->drops, t.dropped_heard, self->in_doubt, t.lost_messages, t.lost_requests,
              self->refused);
        snprintf(what, sizeof what, "%s: what is lost is one run, in doubt", self->name);
        check(lost_in_one_run(self, &t), what, "numbers %d to %d, %d in doubt, %d dropped without a name",
              t.first_lost, t.last_lost, self->in_doubt, self->drops - self->drops_named);
        snprintf(what, sizeof what, "%s: what is accepted in the outage is not lost", self->name);
        check(none_lost_in_outage(self, &t), what, "lost up to number %d; the outage from %d to %d", t.last_lost,
              self->count_at_loss, self->count_at_join);
        /* A reply proves what went before it, so doubt begins behind the last one. */
        snprintf(what, sizeof what, "%s: no more is in doubt than can be", self->name);
        check(self->in_doubt <= self->count_at_loss - self->last_ok_at_loss - 1, what,
              "%d in doubt, answered up to number %d of %d", self->in_doubt, self->last_ok_at_loss,
              self->count_at_loss);
        if (count_at_kill) {
            snprintf(what, sizeof what, "%s: all that the frozen node was sent is in doubt", self->name);
            check(self->in_doubt > 0 && self->in_doubt >= count_at_kill[who] - self->last_ok_at_loss - 1, what,
                  "%d in doubt, answered up to number %d of %d at the kill", self->in_doubt, self->last_ok_at_loss,
                  count_at_kill[who]);
        }
        snprintf(what, sizeof what, "%s: nothing is heard twice", self->name);
        check(t.twice == 0, what, "%d of %d", t.twice, t.heard);
        snprintf(what, sizeof what, "%s: every request completes once", self->name);
        check(t.requests > 0 && t.answered > 0 && t.incomplete == 0 && t.odd == 0 && self->pending == 0 &&
                  (self->drops_wanted || t.refused_requests == 0),
              what, "%d requests: %d answered, %d lost, %d dropped; %d not once, %d odd, %d pending", t.requests,
              t.answered, t.lost_requests, t.refused_requests, t.incomplete, t.odd, self->pending);
        snprintf(what, sizeof what, "%s: drops only where the queue is small", self->name);
        check(self->drops_wanted ? self->drops >= self->drops_wanted : self->drops == 0, what, "%d dropped",
              self->drops);
        if (ordered) {
            snprintf(what, sizeof what, "%s: heard in order", self->name);
            check(in_order(self), what, "%d heard", self->arrivals);
        }
    }
}

void judge_end(void)
{
    int who, i, twice = 0, incomplete = 0, items = 0;
    for (who = 0; who < SENDERS; who++) {
        for (i = 0; i < peers[who].count; i++) {
            const item *one = &peers[who].items[i];
            items++;
            twice += one->heard > 1;
            incomplete += one->request && (one->completions != 1 || atomic_load(&one->destroyed) != 1);
        }
    }
    check(items > 0 && twice == 0 && incomplete == 0, "at the end nothing was heard twice, each request completed once",
          "%d items, %d heard twice, %d requests not once", items, twice, incomplete);
}
