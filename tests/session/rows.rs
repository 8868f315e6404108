//! Which test proves which row of the protocol's tables. Each name must be in the tests' sources, and each row must
//! have one.

/// Rows of Table A, differences between the servers.
///
/// Row 20 (Server-Sent Events) is not here: this library speaks WebSocket only.
const TABLE_A: [(u32, &[&str]); 19] = [
    (
        1,
        &["table_a_01_connected_means_connection", "table_a_01_connection_id"],
    ),
    (2, &["table_a_02_a_close_before_connection_is_a_refusal"]),
    (3, &["table_a_03_silent_declines_time_out"]),
    (
        4,
        &[
            "table_a_04_decline_vocabulary_js",
            "table_a_04_decline_vocabulary_python",
            "table_a_04_decline_vocabulary_go",
            "table_a_04_decline_vocabulary_legacy",
            "table_a_04_the_request_id_must_match",
        ],
    ),
    (5, &["table_a_05_error_payloads_are_normalised"]),
    (6, &["table_a_06_errors_about_the_connection"]),
    (7, &["table_a_07_batched_frames"]),
    (8, &["table_a_08_leave_waits_for_nothing"]),
    (
        9,
        &[
            "table_a_09_eviction_recorded",
            "evictions_in_four_spellings_close_the_channel_for_good",
        ],
    ),
    (10, &["table_a_10_a_broadcast_resolves_nothing"]),
    (
        11,
        &["table_a_11_presence_recorded", "all_names_and_keys_are_understood"],
    ),
    (12, &["table_a_12_frames_before_the_acknowledge_recorded"]),
    (13, &["table_a_13_any_order_is_taken"]),
    (14, &["table_a_14_join_is_never_sent_twice"]),
    (15, &["table_a_15_any_payload_is_handed_through"]),
    (16, &["table_a_16_what_is_sent_keeps_the_limits"]),
    (17, &["table_a_17_names_pass_unchanged"]),
    (18, &["table_a_18_zombies_are_found"]),
    (19, &["table_a_19_goodbye_leaves_first"]),
];

/// Cells of Table B with a defect of an official client, by topic.
const TABLE_B: [(&str, &[&str]); 35] = [
    (
        "CONNECTED means",
        &["table_b_connected_means_connection_not_an_open_socket"],
    ),
    ("stuck if no CONNECTION", &["table_b_never_stuck_without_connection"]),
    ("connect() twice", &["table_b_connect_twice_dials_once"]),
    (
        "initial failure",
        &["table_b_initial_failure_is_retried_and_connect_tells_the_truth"],
    ),
    (
        "reconnect",
        &[
            "table_b_reconnect_goes_on_after_failed_retries",
            "table_b_reconnect_by_itself",
        ],
    ),
    (
        "attempts reset on",
        &["table_b_backoff_resets_only_after_connected_and_stable"],
    ),
    (
        "heartbeat",
        &[
            "table_b_heartbeat_pings_and_keeps_quiet_links",
            "table_b_heartbeat_can_be_switched_off",
        ],
    ),
    ("newline batch", &["table_b_newline_batch_is_taken_apart"]),
    ("bad/array payload frame", &["table_b_bad_and_array_payload_frames"]),
    (
        "join while offline",
        &["table_b_join_while_offline_is_deferred_and_never_dropped"],
    ),
    (
        "disconnect while JOINING",
        &["table_b_a_drop_while_joining_sends_the_join_again"],
    ),
    ("rejoin after JOINED", &["table_b_rejoin_delivers_once"]),
    ("drop during rejoin", &["table_b_drop_during_rejoin_has_no_join_timer"]),
    ("join timeout", &["table_b_join_timeout_exists"]),
    (
        "ACK checked against requestId",
        &["table_b_acknowledge_is_checked_against_the_join"],
    ),
    (
        "declines understood",
        &["table_b_declines_of_every_server_are_understood"],
    ),
    ("after DECLINED", &["table_b_join_again_after_declined"]),
    ("createChannel existing name", &["table_b_new_params_are_used"]),
    ("queue", &["table_b_join_is_not_in_the_queue_and_overflow_is_told"]),
    (
        "send in CLOSED/DECLINED",
        &["table_b_send_in_closed_and_declined_is_an_error"],
    ),
    ("send while STALLED", &["table_b_send_while_stalled_is_flushed"]),
    (
        "response correlation",
        &[
            "table_b_replies_of_another_name_match",
            "table_b_errors_never_resolve_as_success",
            "table_b_broadcasts_are_neither_reply_nor_swallowed",
        ],
    ),
    (
        "pending on disconnect()/leave()",
        &["table_b_pending_requests_settle_on_disconnect_and_leave"],
    ),
    (
        "pending on connection loss",
        &["table_b_pending_requests_end_with_the_link"],
    ),
    (
        "eviction",
        &["table_b_eviction_closes_the_channel", "table_a_09_eviction_recorded"],
    ),
    (
        "SYSTEM frames to onMessage",
        &["table_b_protocol_frames_are_no_messages"],
    ),
    ("event payload to callback", &["table_b_events_bear_the_whole_message"]),
    ("presence", &["table_b_presence_list_survives_a_frame_without_one"]),
    ("presence during STALLED", &["table_b_presence_while_stalled_is_kept"]),
    ("observers", &["table_b_observers_get_everything_in_order"]),
    (
        "disconnect()",
        &["table_b_disconnect_is_told_once_and_connect_works_again"],
    ),
    ("leave()", &["table_b_leave_is_sent_while_joining_too"]),
    ("default response timeout", &["table_b_requests_always_have_a_timeout"]),
    ("max attempts", &["table_b_attempts_can_be_limited"]),
    ("errors", &["table_b_errors_bear_status_code_and_message"]),
];

/// Defects that no session could have; they are tested on other floors.
const ELSEWHERE: [(&str, &str); 2] = [
    (
        "query params",
        "the URL is built by the connections of the client floor",
    ),
    ("schemes", "likewise"),
];

const SOURCES: [&str; 12] = [
    include_str!("table_a_channel.rs"),
    include_str!("table_a_connection.rs"),
    include_str!("table_b_connection.rs"),
    include_str!("table_b_channel.rs"),
    include_str!("channel.rs"),
    include_str!("connection.rs"),
    include_str!("goodbye.rs"),
    include_str!("outbound.rs"),
    include_str!("pings.rs"),
    include_str!("presence.rs"),
    include_str!("requests.rs"),
    include_str!("replay.rs"),
];

/// The names of all functions marked as tests.
fn tests() -> Vec<&'static str> {
    let after = |source: &'static str| source.split("#[test]\nfn ").skip(1);
    let name = |text: &'static str| text.split('(').next().unwrap();
    SOURCES.into_iter().flat_map(after).map(name).collect()
}

#[test]
fn every_row_has_a_test() {
    let tests = tests();
    let rows: Vec<u32> = TABLE_A.iter().map(|(row, _)| *row).collect();
    assert_eq!(rows, (1..=19).collect::<Vec<u32>>());
    let topics: std::collections::BTreeSet<&str> = TABLE_B.iter().map(|(topic, _)| *topic).collect();
    assert_eq!(topics.len(), TABLE_B.len(), "each topic once");
    assert!(ELSEWHERE.iter().all(|(topic, _)| !topics.contains(topic)));
    let named = TABLE_A
        .iter()
        .map(|(_, names)| *names)
        .chain(TABLE_B.iter().map(|(_, names)| *names));
    for names in named {
        assert!(!names.is_empty());
        for name in names {
            assert_eq!(tests.iter().filter(|test| *test == name).count(), 1, "{name}");
        }
    }
    for test in tests.iter().filter(|test| test.starts_with("table_")) {
        let listed = TABLE_A.iter().any(|(_, names)| names.contains(test));
        assert!(
            listed || TABLE_B.iter().any(|(_, names)| names.contains(test)),
            "{test} is of no row"
        );
    }
}
