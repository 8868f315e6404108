/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What was accepted against what arrived, was told or completed.
 */
#include "soak.h"

#include <stdio.h>

enum { LOSSES_NEAR = 3 /* how many losses after its acceptance may explain a missing message */ };

/* Is there a loss that explains why message n did not arrive? One of the first that followed its acceptance, with
 * room in what it told as in doubt: the message may have been queued over a loss and been written after it. */
static int explained(gen *self, int n)
{
    loss *it;
    int tries = 0;
    for (it = self->losses; it && tries < LOSSES_NEAR; it = it->next) {
        if (it->us < began_us + (uint64_t)accepted_ms[self->slot][n] * 1000) continue;
        if (it->in_doubt) {
            it->in_doubt--;
            return 1;
        }
        tries++;
    }
    return 0;
}

void account(void)
{
    unsigned missing = 0, accepted = 0, beyond = 0, came = 0, excused = 0;
    int i, n;
    for (i = losses_count() - 1; i >= 0; i--) {
        losses[i].next = losses[i].of->losses;
        losses[i].of->losses = &losses[i];
    }
    for (i = 0; i < gens_count(); i++) {
        gen *self = gen_at(i);
        unsigned dropped = self->dropped, lost = 0;
        /* First those that a DROPPED event names, then the others. */
        for (n = self->first; n < self->next; n++) {
            if (!bit(dropped_bits[self->slot], n)) continue;
            if (dropped) dropped--;
            if (!bit(both->arrived[self->slot], n)) continue;
            came++;
            violate("slot %d: message %d was reported dropped, and arrived", self->slot, n);
        }
        for (n = self->first; n < self->next; n++) {
            if (bit(both->arrived[self->slot], n)) continue;
            missing++;
            if (bit(dropped_bits[self->slot], n) || explained(self, n)) continue;
            if (dropped) {
                dropped--;
                continue;
            }
            lost++;
            if (!self->abrupt) violate("slot %d: message %d of [%d, %d) is missing", self->slot, n, self->first, self->next);
        }
        accepted += (unsigned)(self->next - self->first);
        if (self->abrupt) excused += lost;
        else beyond += lost;
    }
    verdict(!beyond, "%u messages accepted, %u did not arrive: %u dropped, others in doubt (%u told, with requests and with what "
            "did arrive), %u under way at an abrupt free; %u lost beyond that", accepted, missing, sum.dropped, sum.in_doubt,
            excused, beyond);
    verdict(!came, "%u of those reported dropped arrived", came);
}

void account_requests(void)
{
    unsigned ended[64] = {0}, not_once = 0, not_destroyed = 0, not_cancelled = 0, accepted = 0;
    int i;
    for (i = 0; i < requests_made(); i++) {
        request *self = request_at(i);
        accepted += (unsigned)self->accepted;
        not_once += (unsigned)(self->done != self->accepted);
        not_destroyed += (unsigned)(self->destroyed != 1);
        not_cancelled += (unsigned)(self->cancelled && self->status != POND_ERROR_CANCELLED);
        if (self->accepted && self->status > -64 && self->status <= 0) ended[-self->status]++;
    }
    verdict(!not_once, "%u requests accepted, %u did not complete exactly once", accepted, not_once);
    printf("    ended:");
    for (i = 0; i < 64; i++)
        if (ended[i]) printf(" %u %s", ended[i], pond_status_name(-i));
    printf("\n");
    verdict(!not_destroyed, "%u user_data of requests not destroyed exactly once", not_destroyed);
    verdict(!not_cancelled, "%u requests were cancelled, %u of them ended otherwise", cancels_won, not_cancelled);
    verdict(sum.registered == sum.destroyed, "%u handlers registered, %u destroyed", sum.registered, sum.destroyed);
}
