'use strict';

// The interop application (../APP.md) over the JavaScript server, version 0.1.70: the old dialect.
//
// What this version does by its nature, and what is left as it is:
// - No CONNECTION frame, and no request id in any frame of the server.
// - The upgrade comes before the connection handler: a refusal is an ERROR frame and a close.
// - A connection handler that throws or stays silent leaves an open socket to which nothing listens.
// - `response.send` accepts first, and accepting an event broadcasts it to everybody; then comes the reply.
// - One reply to one event: the second `send` is a CHANNEL_ERROR.
// - No reply before accept: `send` in a join handler accepts, so `reply-first` gets its reply after the ACKNOWLEDGE.
// - The query is not percent-decoded: `greet` and `user/:id` show it raw.
// - Evicting a member whose presence is not tracked fails half way: the victim is told and removed, the others are not.

const PondSocket = require('@eleven-am/pondsocket').default;

const TOKEN = 'secret';
const ENDPOINT = '/api/socket';
const ROOMS = '/chat/';
const HISTORY = 20;
/** Upper bounds of what a client may ask for. */
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_COUNT = 1_000_000;
const MAX_LEVELS = 5_000;
const MAX_MS = 60_000;

function usage(message) {
    process.stderr.write(`server.js: ${message}\nusage: server.js [--port N] [--exit-on-stdin-eof]\n`);
    process.exit(2);
}

function parseArguments(args) {
    const options = { port: 0, exitOnStdinEof: false };
    for (let i = 0; i < args.length; i += 1) {
        if (args[i] === '--port') {
            i += 1;
            if (!/^\d{1,5}$/.test(args[i] ?? '') || Number(args[i]) > 65535) {
                usage('--port needs a number');
            }
            options.port = Number(args[i]);
        } else if (args[i] === '--exit-on-stdin-eof') {
            options.exitOnStdinEof = true;
        } else {
            usage(`unknown argument: ${args[i]}`);
        }
    }
    return options;
}

const options = parseArguments(process.argv.slice(2));

function log(...words) {
    process.stderr.write(`${words.join(' ')}\n`);
}

/** A whole number between 0 and `most`; anything else is `otherwise`. */
function whole(value, otherwise, most) {
    const number = Number(value);
    return Number.isSafeInteger(number) && number >= 0 ? Math.min(number, most) : otherwise;
}

/** One query value as the user meant it: the package hands it out as it stood in the URL. */
function decoded(value) {
    try {
        return decodeURIComponent(value.replace(/\+/g, ' '));
    } catch {
        return value;
    }
}

/** Runs later. What the package throws then has no caller who could answer with it. */
function later(ms, action) {
    setTimeout(() => {
        try {
            action();
        } catch (error) {
            log('later:', error?.message ?? error);
        }
    }, whole(ms, 0, MAX_MS));
}

const pond = new PondSocket();

// The package calls connection handlers where nothing catches what they throw. A host that wants to live on
// does this; the socket then stays open, without an answer.
process.on('uncaughtException', (error) => log('uncaught:', error?.message ?? error));

const endpoint = pond.createEndpoint(ENDPOINT, (request, response) => {
    const { query, headers } = request;
    const mode = query.mode ?? 'accept';
    const name = query.name === undefined ? 'guest' : decoded(query.name);
    if (query.token !== TOKEN || mode === 'decline') {
        const message = query.message === undefined ? 'Invalid token' : decoded(query.message);
        response.reject(message, whole(query.code, 401, 9999));
    } else if (mode === 'throw') {
        throw new Error('the connection handler failed');
    } else if (mode === 'silent') {
        log(`left waiting: ${name}`);
    } else if (query.greet === '1') {
        response.send('welcome', { name, header: headers['x-test'] ?? null, query }, { name });
    } else {
        response.accept({ name });
    }
});

/** Whether the connection still lives. The package's own list keeps the closed ones. */
function isOpen(clientId) {
    return endpoint.getClients()
        .some((client) => client.clientId === clientId && client.socket.readyState === client.socket.OPEN);
}

/** The last messages of each room. */
const histories = new Map();

function remember(channel, message) {
    const messages = histories.get(channel) ?? [];
    messages.push(message);
    histories.set(channel, messages.slice(-HISTORY));
}

const lobby = endpoint.createChannel('/chat/:room', (request, response) => {
    const params = request.joinParams;
    const user = request.user;
    const username = typeof params.username === 'string' ? params.username : user.assigns.name;

    const admit = (reply) => {
        const assigns = { username };
        if (reply) {
            response.send(reply.event, reply.payload, assigns);
        } else {
            response.accept(assigns);
        }
        if (params.presence !== false) {
            response.trackPresence({ id: username, status: 'online' });
        }
    };
    const history = params.history === true
        ? { event: 'history', payload: { messages: histories.get(request.channelName) ?? [] } }
        : null;

    switch (params.mode ?? 'accept') {
    case 'accept':
        admit(history);
        break;
    case 'slow':
        later(params.delayMs, () => isOpen(user.id) && admit(history));
        break;
    case 'reply-first':
        admit({ event: 'early', payload: { early: true } });
        break;
    case 'decline':
        response.reject(params.message ?? 'No entry', whole(params.code, 403, 9999));
        break;
    case 'silent':
        break;
    case 'throw':
        throw new Error('the join handler failed');
    default:
        throw new Error(`no mode ${params.mode}`);
    }
});

/** The ids of the members with that username; failing these the name itself, so that the package judges it. */
function idsOf(request, username) {
    const ids = Object.entries(request.assigns)
        .filter(([, assigns]) => assigns.username === username)
        .map(([id]) => id);
    return ids.length > 0 ? ids : [username];
}

const signed = (request) => ({ ...request.event.payload, from: request.user.assigns.username });
const room = (request) => request.channelName.slice(ROOMS.length);

const nested = (levels) => {
    let data = [];
    for (let i = 1; i < levels; i += 1) {
        data = [data];
    }
    return data;
};

const TYPES = { array: [1, 'two', null], null: null, string: 'text', number: 42.5 };

/** What the application does with each event: the payload, the request, the response. */
const actions = {
    message(payload, request, response) {
        const message = signed(request);
        remember(request.channelName, message);
        response.broadcast('message', message);
    },
    others(payload, request, response) {
        response.broadcastFromUser('message', signed(request));
    },
    direct(payload, request, response) {
        response.sendToUsers('direct', signed(request), idsOf(request, payload.to));
    },
    ping(payload, request, response) {
        response.send('pong', { ...payload, room: room(request) });
    },
    echo(payload, request, response) {
        response.send('echo', payload);
    },
    twice(payload, request, response) {
        response.send('first', { n: 1 });
        response.send('second', { n: 2 });
    },
    'tell-and-reply'(payload, request, response) {
        response.broadcast('told', payload);
        response.send('reply', payload);
    },
    whoami(payload, request, response) {
        response.send('whoami', { username: request.user.assigns.username, room: room(request) });
    },
    'user/:id'(payload, request, response) {
        const { params, query } = request.event;
        response.send('user', { id: params.id, query });
    },
    slow(payload, request, response) {
        later(payload.ms, () => response.send('slow', payload));
    },
    silent() {},
    throw() {
        throw new Error('the event handler failed');
    },
    decline(payload, request, response) {
        response.reject(payload.message ?? 'Not allowed', whole(payload.code, 403, 9999));
    },
    status(payload, request, response) {
        response.updatePresence({ id: request.user.assigns.username, status: payload.status });
    },
    evict(payload, request, response) {
        const ids = payload.username === undefined ? [request.user.id] : idsOf(request, payload.username);
        ids.forEach((id) => response.evictUser(payload.reason ?? 'bye', id));
    },
    flood(payload, request, response) {
        const count = whole(payload.count, 0, MAX_COUNT);
        const pad = 'x'.repeat(whole(payload.size, 0, MAX_BYTES));
        for (let i = 0; i < count; i += 1) {
            response.broadcast('flood', { i, pad });
        }
    },
    big(payload, request, response) {
        response.send('big', { data: 'x'.repeat(whole(payload.bytes, 0, MAX_BYTES)) });
    },
    deep(payload, request, response) {
        response.send('deep', { data: nested(whole(payload.levels, 1, MAX_LEVELS)) });
    },
    types(payload, request, response) {
        if (!Object.hasOwn(TYPES, payload.type)) {
            throw new Error(`no type ${payload.type}`);
        }
        response.send('types', TYPES[payload.type]);
    },
    'close-me'(payload, request) {
        endpoint.closeConnection(request.user.id);
    },
    'close-channel'(payload, request, response) {
        response.closeChannel(payload.reason);
    },
    later(payload, request, response) {
        const { channel } = request;
        response.send('later', payload);
        later(payload.ms, () => channel.broadcastMessage('news', { n: 1 }));
    },
    die() {
        process.exit(1);
    },
};

for (const [event, action] of Object.entries(actions)) {
    lobby.onEvent(event, (request, response) => action(request.event.payload, request, response));
}

const server = pond.listen(options.port, '127.0.0.1', () => {
    process.stdout.write(`listening ws://127.0.0.1:${server.address().port}${ENDPOINT}\n`);
});
// The package only rethrows it, which the handler above would swallow.
server.prependListener('error', (error) => {
    log('cannot listen:', error.message);
    process.exit(1);
});

for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, () => process.exit(0));
}
if (options.exitOnStdinEof) {
    process.stdin.on('end', () => process.exit(0));
    process.stdin.on('error', () => process.exit(0));
    process.stdin.resume();
}
