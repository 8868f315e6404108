/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * dlopen-host LIBRARY URL: loads the library, connects, unloads it; again and again, every other time without
 * pond_shutdown. 0: all went well.
 */
#include <dlfcn.h>
#include <pondsocket.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 10, LIMIT_MS = 10000 };

static void *symbol(void *library, const char *name)
{
    void *address = dlsym(library, name);
    if (address) return address;
    fprintf(stderr, "dlopen-host: %s\n", dlerror());
    exit(3);
}

static void ignore(const pond_event *event, void *user_data)
{
    (void)event, (void)user_data;
}

static int use(void *library, const char *url, int shut_down)
{
    int32_t (*make)(const char *, const char *, pond_options *, pond_client **, pond_error **);
    int32_t (*connect)(pond_client *), (*wait)(pond_client *, int32_t, uint32_t, pond_error **), (*end)(uint32_t);
    int32_t (*on_state)(pond_client *, pond_event_fn, void *, pond_destroy_fn, pond_subscription **);
    uint32_t (*abi)(void);
    pond_client *client;
    *(void **)&make = symbol(library, "pond_client_new");
    *(void **)&connect = symbol(library, "pond_client_connect");
    *(void **)&wait = symbol(library, "pond_client_wait_state");
    *(void **)&on_state = symbol(library, "pond_client_on_state");
    *(void **)&end = symbol(library, "pond_shutdown");
    *(void **)&abi = symbol(library, "pond_abi_version");
    return abi() == POND_ABI_VERSION && make(url, NULL, NULL, &client, NULL) == POND_OK &&
           on_state(client, ignore, NULL, NULL, NULL) == POND_OK && connect(client) == POND_OK &&
           wait(client, POND_CLIENT_CONNECTED, LIMIT_MS, NULL) == POND_OK && (!shut_down || end(LIMIT_MS) == POND_OK);
}

int main(int argc, char **argv)
{
    int i;
    if (argc != 3) return 2;
    for (i = 0; i < ROUNDS; i++) {
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (!library) return fprintf(stderr, "dlopen-host: %s\n", dlerror()), 4;
        if (!use(library, argv[2], i % 2)) return fprintf(stderr, "dlopen-host: round %d\n", i), 5;
        if (dlclose(library) != 0) return 6;
    }
    return 0;
}
