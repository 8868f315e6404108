// SPDX-License-Identifier: GPL-3.0-or-later
//
// The glue for nlohmann/json: only where it is installed.
#include <nlohmann/json.hpp>

#include "support.hpp"

using json = nlohmann::json;

TEST_CASE("json values go in and come out") {
    record seen;
    pond::client client(url(), json{{"token", "secret"}}, quick());
    client.connect_wait(patience);
    pond::channel channel = client.channel(room(), json{{"username", "an\"na"}});
    channel.on_users_change([&](pond::event_ref event) { seen.add(event.users_json().at(0).at("id")); });
    channel.on_message([&](pond::event_ref event) { seen.add(event.json()["text"]); });
    channel.join_wait(patience);
    CHECK(seen.wait("na") == "an\"na");
    channel.send("message", json{{"text", "typed"}});
    CHECK(seen.wait("typed") != "");
    CHECK(channel.call("echo", json{{"n", {1, 2}}}).json() == json{{"n", {1, 2}}});
    CHECK(channel.request("echo", json{{"s", "x"}}, 5s).get().json()["s"] == "x");
    channel.request("echo", json{{"s", "later"}}, 5s, [&](pond::event_ref event) { seen.add(event.json()["s"]); });
    CHECK(seen.wait("later") != "");
    CHECK(channel.send_volatile("message", json{{"text", "now"}}));
    CHECK(seen.wait("now") != "");
    CHECK(client.open_channel(room(), json::object()).state() == POND_CHANNEL_IDLE);
}
