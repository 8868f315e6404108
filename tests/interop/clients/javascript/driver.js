// SPDX-License-Identifier: GPL-3.0-or-later
// Does what the runner says (../../runner/bench.c) with the official JavaScript client.
'use strict';

const readline = require('node:readline');
const { PondClient } = require('@eleven-am/pondsocket-client');

const clients = [];
const connects = [];
const channels = new Map();
const answers = [];
const called = [];

function channelOf(number, name, params) {
    const key = `${number} ${name}`;
    let kept = channels.get(key);
    if (!kept) {
        kept = { channel: clients[number].createChannel(name, params), messages: [], declines: 0 };
        kept.channel.onChannelStateChange((state) => {
            kept.declines += state === 'DECLINED';
        });
        kept.channel.onMessage((event, payload) => kept.messages.push({ event, payload }));
        channels.set(key, kept);
    }
    return kept;
}

function run(command, rest) {
    const number = Number(rest[0]);
    switch (command) {
        case 'new': {
            const pingInterval = Number(rest[2]) || undefined;
            const index = clients.push(new PondClient(rest[0], JSON.parse(rest[1]), { pingInterval, connectionTimeout: Number(rest[3]) || undefined })) - 1;
            connects[index] = 0;
            clients[index].onConnectionChange((state) => {
                connects[index] += String(state).toUpperCase() === 'CONNECTED';
            });
            clients[index].onError(() => {});
            return 'ok';
        }
        case 'connect':
            clients[number].connect();
            return 'ok';
        case 'disconnect':
            clients[number].disconnect();
            return 'ok';
        case 'state':
            return String(clients[number].getState()).toUpperCase();
        case 'connects':
            return String(connects[number]);
        case 'answer':
            return answers[number];
        case 'order':
            return called.join('');
    }
    const kept = channelOf(number, rest[1], command === 'join' ? JSON.parse(rest[2]) : {});
    const { channel, messages } = kept;
    switch (command) {
        case 'join':
            channel.join();
            return 'ok';
        case 'leave':
            channel.leave();
            return 'ok';
        case 'channel':
            return String(channel.channelState).toUpperCase();
        case 'declines':
            return String(kept.declines);
        case 'send':
            try {
                channel.sendMessage(rest[2], JSON.parse(rest[3]));
            } catch (error) {
                return `error ${error.name}`;
            }
            return 'ok';
        case 'ask': {
            const index = answers.push('pending') - 1;
            // The client has no time limit of its own here.
            channel.sendForResponse(rest[2], JSON.parse(rest[3])).then(
                (payload) => {
                    answers[index] = `reply ${JSON.stringify(payload)}`;
                },
                (error) => {
                    answers[index] = `error ${error.name}`;
                }
            );
            return String(index);
        }
        case 'count':
            return String(messages.filter((message) => message.event === rest[2]).length);
        case 'payload': {
            const found = messages.filter((message) => message.event === rest[2]);
            return found.length ? JSON.stringify(found.at(-1).payload) : 'none';
        }
        case 'users':
            return JSON.stringify(channel.presence);
        case 'watch':
            for (const digit of '12345678') {
                channel.onMessageEvent(rest[2], () => called.push(digit));
            }
            return 'ok';
        default:
            return '-';
    }
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
    const [command, ...rest] = line.split('\t');
    process.stdout.write(`${run(command, rest)}\n`);
});
