/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * TLS: CA by file and by text, client certificates, no verification, and what must fail.
 */
#include "contract.h"

static const char *path_of(const server *server, const char *name)
{
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", server->tls, name);
    return path;
}

/* How a connect to the server's /script ends. */
static int32_t connects(server *server, pond_options *options)
{
    pond_client *client;
    pond_error *error = NULL;
    int32_t status;
    OK(pond_options_set_max_reconnect_attempts(options, 0));
    client = client_at(url("wss", server->port, "/script"), NULL, options);
    OK(pond_client_connect(client));
    status = pond_client_wait_state(client, POND_CLIENT_CONNECTED, DEADLINE, &error);
    if (status == POND_OK) joined(client, room("tls"), NULL);
    else CHECK(pond_error_status(error) == status && pond_error_message(error, NULL)[0]);
    pond_error_free(error);
    OK(pond_client_free(client));
    return status;
}

static void set_pem(pond_options *options, const server *server, const char *name)
{
    char *pem = file_text(server->tls, name);
    OK(pond_options_set_ca_pem(options, pem));
    free(pem);
}

static void set_client_cert(pond_options *options, const server *server, const char *cert_name, const char *key_name,
                            int32_t expected)
{
    char *cert = file_text(server->tls, cert_name), *key = file_text(server->tls, key_name);
    IS(expected, pond_options_set_client_cert(options, cert, key));
    free(cert);
    free(key);
}

static void trusted_ca(void)
{
    server *server = server_start(1, NULL);
    pond_options *options = fast_options();
    OK(pond_options_set_ca_file(options, path_of(server, "ca.pem")));
    OK(connects(server, options));
    options = fast_options();
    set_pem(options, server, "ca.pem");
    OK(connects(server, options));
    server_kill(server);
}

/* The platform's roots do not know it; another server's CA does not either; forgotten ones are forgotten. */
static void untrusted_ca(void)
{
    server *server = server_start(1, NULL), *other = server_start(1, NULL);
    pond_options *options = fast_options();
    IS(POND_ERROR_TLS, connects(server, options));
    options = fast_options();
    set_pem(options, other, "ca.pem");
    IS(POND_ERROR_TLS, connects(server, options));
    options = fast_options();
    OK(pond_options_set_ca_file(options, path_of(other, "ca.pem")));
    IS(POND_ERROR_TLS, connects(server, options));
    options = fast_options();
    set_pem(options, server, "ca.pem");
    OK(pond_options_set_ca_file(options, path_of(server, "ca.pem")));
    OK(pond_options_set_ca_pem(options, NULL));
    OK(pond_options_set_ca_file(options, NULL));
    IS(POND_ERROR_TLS, connects(server, options));
    options = fast_options(); /* several add up */
    set_pem(options, other, "ca.pem");
    OK(pond_options_set_ca_file(options, path_of(other, "ca.pem")));
    set_pem(options, server, "ca.pem");
    OK(connects(server, options));
    server_kill(server);
    server_kill(other);
}

static void unverified(void)
{
    server *server = server_start(1, NULL);
    pond_options *options = fast_options();
    OK(pond_options_set_insecure_skip_verify(options, 1));
    OK(connects(server, options));
    options = fast_options();
    OK(pond_options_set_insecure_skip_verify(options, 1));
    OK(pond_options_set_insecure_skip_verify(options, 0));
    IS(POND_ERROR_TLS, connects(server, options));
    server_kill(server);
}

static void client_certificate(void)
{
    server *server = server_start(1, "--require-client-cert"), *other = server_start(1, NULL);
    pond_options *options = fast_options();
    set_pem(options, server, "ca.pem");
    set_client_cert(options, server, "client-cert.pem", "client-key.pem", POND_OK);
    OK(connects(server, options));
    options = fast_options(); /* the same without verifying the server */
    OK(pond_options_set_insecure_skip_verify(options, 1));
    set_client_cert(options, server, "client-cert.pem", "client-key.pem", POND_OK);
    OK(connects(server, options));
    options = fast_options(); /* none */
    set_pem(options, server, "ca.pem");
    CHECK(connects(server, options) != POND_OK);
    options = fast_options(); /* removed again */
    set_pem(options, server, "ca.pem");
    set_client_cert(options, server, "client-cert.pem", "client-key.pem", POND_OK);
    OK(pond_options_set_client_cert(options, NULL, NULL));
    CHECK(connects(server, options) != POND_OK);
    options = fast_options(); /* of another CA */
    set_pem(options, server, "ca.pem");
    set_client_cert(options, other, "client-cert.pem", "client-key.pem", POND_OK);
    CHECK(connects(server, options) != POND_OK);
    options = fast_options(); /* a key that is not the certificate's, texts in the wrong places */
    set_client_cert(options, server, "client-key.pem", "client-cert.pem", POND_ERROR_INVALID_ARGUMENT);
    OK(pond_options_free(options));
    server_kill(server);
    server_kill(other);
}

/* A key of another certificate is told by the setter, or by pond_client_new at the latest; never by the server. */
static void key_of_another(void)
{
    server *server = server_start(1, NULL);
    pond_options *options = fast_options();
    pond_client *client = (pond_client *)&options;
    char *cert = file_text(server->tls, "client-cert.pem"), *key = file_text(server->tls, "server-key.pem");
    int32_t status = pond_options_set_client_cert(options, cert, key);
    if (status == POND_OK) {
        IS(POND_ERROR_TLS, pond_client_new(url("wss", server->port, "/script"), NULL, options, &client, NULL));
        CHECK(client == NULL);
    } else {
        IS(POND_ERROR_INVALID_ARGUMENT, status);
    }
    OK(pond_options_free(options));
    free(cert);
    free(key);
    server_kill(server);
}

static void unusable_ca_file(void)
{
    server *server = server_start(1, NULL);
    const char *files[] = {"nowhere.pem", "server-key.pem", "."};
    size_t i;
    for (i = 0; i < sizeof files / sizeof *files; i++) {
        pond_options *options = fast_options();
        pond_client *client = (pond_client *)&options;
        pond_error *error = NULL;
        OK(pond_options_set_ca_file(options, path_of(server, files[i])));
        IS(POND_ERROR_TLS, pond_client_new(url("wss", server->port, "/script"), NULL, options, &client, &error));
        CHECK(client == NULL && pond_error_status(error) == POND_ERROR_TLS && pond_error_message(error, NULL)[0]);
        pond_error_free(error);
        OK(pond_options_free(options));
    }
    server_kill(server);
}

/* A server that speaks no TLS, and one that speaks nothing else. */
static void no_tls_there(void)
{
    pond_options *options = fast_options();
    server *server = server_start(1, NULL);
    pond_client *client;
    OK(pond_options_set_max_reconnect_attempts(options, 0));
    client = client_at(url("wss", shared_port(), "/script"), NULL, options);
    OK(pond_client_connect(client));
    IS(POND_ERROR_TLS, pond_client_wait_state(client, POND_CLIENT_CONNECTED, DEADLINE, NULL));
    options = fast_options();
    OK(pond_options_set_max_reconnect_attempts(options, 0));
    client = client_at(url("ws", server->port, "/script"), NULL, options);
    OK(pond_client_connect(client));
    CHECK(pond_client_wait_state(client, POND_CLIENT_CONNECTED, DEADLINE, NULL) < 0);
    server_kill(server);
}

const test tls_tests[] = {
    {"trusted_ca", trusted_ca, 0},
    {"untrusted_ca", untrusted_ca, 0},
    {"unverified", unverified, 0},
    {"client_certificate", client_certificate, 0},
    {"key_of_another", key_of_another, 0},
    {"unusable_ca_file", unusable_ca_file, 0},
    {"no_tls_there", no_tls_there, 0},
    {NULL, NULL, 0},
};
