// SPDX-License-Identifier: GPL-3.0-or-later
// The official JavaScript client, as its users drive it: `MODE URL N KIND CHANNELS`, modes as bench/README.md says.
'use strict';

const fs = require('node:fs');
const { PondClient } = require('@eleven-am/pondsocket-client');

const [mode, url, countText, , channelsText] = process.argv.slice(2);
const count = Number(countText);

function residentKib() {
    return Number(/VmRSS:\s*(\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]);
}

function join(channels) {
    const client = new PondClient(url, {});
    client.connect();
    const names = Array.from({ length: channels }, (_, number) => `/room/${String(number).padStart(2, '0')}`);
    const made = names.map((name) => client.createChannel(name, {}));
    const joined = made.map(
        (channel) =>
            new Promise((resolve) => {
                channel.onChannelStateChange((state) => state === 'JOINED' && resolve());
                channel.join();
            })
    );
    return Promise.all(joined).then(() => made);
}

function watch() {
    const cpu = process.cpuUsage();
    const wall = process.hrtime.bigint();
    return (received, inOrder) => {
        const used = process.cpuUsage(cpu);
        const us = Number((process.hrtime.bigint() - wall) / 1000n);
        const peak = process.resourceUsage().maxRSS;
        finish({ received, in_order: inOrder, cpu_us: used.user + used.system, wall_us: us, max_rss_kib: peak });
    };
}

function finish(result) {
    fs.writeSync(1, `${JSON.stringify(result)}\n`);
    process.exit(0);
}

const numbered = (n) => ({ n: String(n).padStart(8, '0') });

async function main() {
    if (mode === 'idle') {
        const before = residentKib();
        const kept = [];
        for (let number = 0; number < count; number++) {
            kept.push(await join(1));
        }
        finish({ connections: kept.length, rss_kib: residentKib() - before });
    }
    const channels = await join(Number(channelsText));
    if (mode === 'start') {
        finish({ joined_us: Number((process.hrtime.bigint() - BigInt(process.env.BENCH_STARTED_NS)) / 1000n) });
    }
    let received = 0;
    let inOrder = true;
    let report;
    const saw = (n) => {
        inOrder = inOrder && Number(n) === received;
        received += 1;
        if (received === count) {
            report(received, inOrder);
        }
    };
    for (const channel of channels) {
        channel.onMessage((event, payload) => {
            if (event === 'end') {
                report(received, inOrder);
            } else if (event === 'done') {
                report(payload.received, payload.in_order);
            } else if (mode === 'flood') {
                saw(payload.n);
            }
        });
        // A program that shows who is there looks at both.
        channel.onPresenceChange(({ changed }) => saw(changed.n));
    }
    report = watch();
    if (mode === 'flood') {
        channels[0].sendMessage('go', {});
    } else if (mode === 'ask1' || mode === 'ask64') {
        let asked = 0;
        const ask = async () => {
            while (asked < count) {
                const n = asked++;
                const reply = await channels[0].sendForResponse('ask', numbered(n));
                inOrder = inOrder && Number(reply.n) === n;
                received += 1;
            }
        };
        await Promise.all(Array.from({ length: mode === 'ask64' ? 64 : 1 }, ask));
        report(received, inOrder);
    } else if (mode === 'put') {
        for (let n = 0; n < count; n++) {
            channels[0].sendMessage('put', { ...numbered(n), t: '0', x: 'a'.repeat(69) });
            if (n % 100 === 99) {
                await new Promise(setImmediate);
            }
        }
    }
}

main();
