//! Faults and what proves that the server survives them: documentation only, there is no code here.
//!
//! One row for each fault: what trine does, and the tests, drills and oracles that fail when it does not.
//! A name is a test of `tests/` or `src/`, or a script. Drills are hostile clients against a server in a
//! process of its own (`.ci/drills`); the oracle of the simulated machine is
//! `nothing_wrong_happens_in_any_seed_and_everything_ends`, which judges every step of every seed (`.ci/sim`), and is
//! itself judged by mistakes that are planted for it to find. `tests/faults_table.rs` checks that each
//! name is there.
//!
//! # Slow clients
//!
//! | fault | what trine does | proof |
//! |---|---|---|
//! | 1 a head that drips | 408 at a deadline that counts from accept, or from its first byte, and that no byte extends | `heads_that_drip_are_cut_at_their_deadline`, `bytes_do_not_extend_the_10_s_of_the_first_head`, `a_drip_of_bytes_extends_no_deadline` |
//! | 2 a client that connects and never speaks | closed without a word at the deadline of a head | `clients_that_never_speak_are_cut_at_the_deadline_of_a_head`, `a_connection_that_never_speaks_closes_silently_after_10_s`, `a_later_head_has_10_s_from_its_first_bytes` |
//! | 3 a body that drips, whole or in chunks of an octet | a lowest rate, and a deadline for the whole | `bodies_that_drip_are_cut_at_their_deadline`, `chunks_of_one_octet_are_cut_at_the_deadline_of_a_body`, `a_body_below_500_bytes_a_second_is_cut_after_5_s`, `one_byte_chunks_are_as_slow_as_any_other_body` |
//! | 4 a client that does not read its answer | nothing is made above the high-water mark; a reset when the lowest rate is missed | `clients_that_do_not_read_are_reset_and_are_not_produced_for`, `a_client_that_does_not_take_its_answer_is_reset`, `a_client_that_does_not_read_is_not_produced_for_and_not_read_from` |
//! | 1 to 4 together, by thousands | each is cut on time, and a bystander is served meanwhile | `slow_clients_of_every_kind_are_cut_while_a_bystander_is_served`, `.ci/drills` |
//! | 5 idle connections hoarded | a deadline for idleness, little memory for each, and under pressure the oldest go first | `idle_connections_are_cut_at_their_deadline_and_cost_little`, `an_idle_or_waiting_connection_holds_no_buffer`, `eight_thousand_idle_connections_go_oldest_first_under_memory_pressure_and_active_ones_are_served`, `a_full_server_gives_the_place_of_whoever_was_idle_for_longest_to_a_newcomer` |
//!
//! # Too many, too much
//!
//! | fault | what trine does | proof |
//! |---|---|---|
//! | 6 more clients than the limit | some are told 503, the rest wait in the kernel; never more than the limit | `a_flood_beyond_the_limit_holds_no_more_than_the_limit_and_ends`, `clients_beyond_the_limit_are_refused_and_those_within_it_are_served`, `a_burst_beyond_the_limit_is_refused_and_the_rest_waits_for_room`, `as_many_clients_as_are_reserved_are_served_without_any_descriptor_left` |
//! | 7 descriptors run out (EMFILE, ENFILE) | accepting pauses by a timer; clients that wait for long are turned away by a reserve | `without_descriptors_the_server_is_still_and_serves_when_some_are_free`, `running_out_of_descriptors_pauses_accepting_until_the_retry`, `accepting_goes_on_by_itself_when_descriptors_are_free_again`, `a_server_without_descriptors_is_still_and_serves_those_it_has`, `a_file_is_opened_by_a_reserve_without_any_descriptor_left`, `.ci/faults` |
//! | 8 accept fails otherwise | errors of one connection are skipped, those of the machine pause; the listener is never lost | `an_error_of_accept_is_either_one_connections_or_a_reason_to_pause`, `.ci/faults`, `nothing_wrong_happens_in_any_seed_and_everything_ends` |
//! | 9 the backlog fills while the server stands still | everybody in it is served afterwards, in batches of a bounded size | `five_thousand_clients_that_come_while_the_server_is_stopped_are_served_after`, `a_burst_of_connections_is_accepted_in_parts_and_others_have_their_turn_between` |
//! | 10 a target, a field or a name of megabytes, fields without number | 414 or 431 at the limit, and no memory for it | `what_is_far_too_long_is_refused_without_memory`, `limits_hold_without_a_line_end_ever_coming`, `an_endless_head_and_an_endless_body_stop_at_their_limit` |
//! | 11 a body of megabytes | 413 before it is read, or one octet beyond the limit; a bounded linger | `what_is_far_too_long_is_refused_without_memory`, `a_body_too_large_is_refused_before_it_is_read_and_instead_of_going_on`, `lingering_ends_after_2_s`, `lingering_ends_after_64_kib` |
//! | 12 chunk extensions, tiny chunks, zeros, trailers, empty lines without end | their octets count against limits of their own | `a_flood_of_tiny_chunks_or_extensions_is_cut_and_small_honest_chunks_are_not`, `what_is_far_too_long_is_refused_without_memory` |
//! | 13 pipelined requests whose answers nobody reads | the parser stops while answers are above the high-water mark | `pipelined_requests_whose_answers_nobody_reads_stop_the_parser`, `a_client_that_pipelines_and_never_reads_stops_the_parser`, `with_64_kib_unread_no_further_request_is_looked_at` |
//! | 14 hundreds of thousands of pipelined requests | 16 requests or 64 KiB of one connection in a turn, then the others | `a_hundred_thousand_pipelined_requests_are_answered_in_order_and_starve_nobody`, `sixteen_requests_a_turn_then_others_have_theirs`, `one_connection_reads_64_kib_a_turn_and_not_much_more`, `a_flood_of_pipelined_requests_does_not_keep_others_waiting` |
//! | 34 more work than workers can do | 503 with Retry-After at once; what was let in is done | `more_than_the_queue_holds_is_refused_at_once_while_all_workers_are_blocked`, `work_beyond_the_queue_is_refused_at_once_and_what_was_let_in_is_done` |
//! | 38 memory runs out | limits times connections stay below it; a ladder of measures before anything fails | `in_64_mib_a_flood_of_clients_that_do_not_read_is_refused_and_survived`, `eight_thousand_idle_connections_go_oldest_first_under_memory_pressure_and_active_ones_are_served`, `pressure_leads_up_at_once_and_down_one_rung_at_a_time`, `a_body_that_would_go_beyond_the_memory_of_the_server_is_answered_503` |
//!
//! # Ends
//!
//! | fault | what trine does | proof |
//! |---|---|---|
//! | 15 a client that half-closes | it is answered, then the end; 400 inside a message; nothing spins | `clients_that_half_close_are_answered_and_nothing_spins`, `a_client_that_shuts_its_half_gets_all_its_answers_then_the_end`, `a_client_that_shuts_its_half_inside_a_message_is_told_400`, `a_half_closed_client_that_does_not_read_and_then_resets_spins_neither_before_nor_after` |
//! | 16 a reset at any moment | reaped at once, its work cancelled | `resets_at_any_moment_are_reaped_at_once`, `resets_at_any_moment_leave_nothing_behind`, `a_reset_ends_every_state_at_once`, `a_client_that_resets_cancels_its_request` |
//! | 17 hang-ups and errors reported in any mix | one end, one close | `no_descriptor_is_closed_twice`, `an_error_reported_for_a_stream_that_cannot_be_written_does_not_loop`, `nothing_wrong_happens_in_any_seed_and_everything_ends`, `hang_ups_and_resets_in_any_mix_end_each_connection_once` |
//! | 18 a write to a peer that is gone | an error of the call; no signal | `a_write_to_a_peer_that_is_gone_raises_no_signal_where_the_program_does_not_ignore_it` |
//!
//! # The loop
//!
//! | fault | what trine does | proof |
//! |---|---|---|
//! | 19 every call interrupted | repeated, for the time that remains | `.ci/faults`, `an_interrupted_wait_goes_on_for_the_time_that_remains_and_no_turn_is_made_of_it`, `a_storm_of_signals_that_interrupt_every_wait_is_not_noticed`, `nothing_wrong_happens_in_any_seed_and_everything_ends` |
//! | 20 readiness with nothing behind it, or reported once for much | silent; what is ready is called until it is empty | `readiness_with_nothing_behind_it_is_silent`, `a_source_that_reads_one_byte_of_many_and_returns_again_is_called_for_all_of_them`, `nothing_wrong_happens_in_any_seed_and_everything_ends` |
//! | 21 an event for a former tenant of a number | a generation in each token; counted, told to nobody | `connections_that_come_and_go_get_nobody_elses_answer`, `events_for_those_who_are_gone_are_counted_and_reach_nobody`, `a_source_inserted_into_the_slot_of_a_removed_one_does_not_see_its_readiness`, `a_generation_that_would_wrap_retires_the_slot_instead_of_reusing_it`, `each_planted_bug_of_the_server_is_found_within_2000_seeds`, `connections_that_come_and_go_get_nobody_elses_answer_whichever_thread_serves_them` |
//! | 28 the process stands still for seconds | deadlines that came meanwhile are met at once, in order, in batches; none early | `deadlines_that_came_while_the_server_was_stopped_are_met_at_once_and_none_before`, `requests_that_come_in_time_while_the_loop_is_stalled_are_answered_however_many`, `after_a_stall_skip_calls_once_says_what_was_missed_and_keeps_the_phase` |
//! | 51 the leader of a team is lost, or stays in a call | the lead is handed on before anything is served, and by whoever panics; the others serve meanwhile | `loom_the_lead_is_never_lost_nor_with_two_and_at_the_end_nobody_waits`, `loom_a_leader_that_panics_does_not_take_the_lead_along`, `a_service_that_blocks_one_thread_keeps_no_other_from_serving`, `a_handler_that_panics_ends_alone_and_every_thread_goes_on` |
//! | an edge for a connection that a thread of a team has | kept in its seat, told before it is parked; never two threads at a time | `loom_an_edge_that_comes_while_a_handler_is_served_is_served_too`, `loom_an_edge_that_comes_while_a_handler_is_seated_is_served`, `an_edge_that_comes_while_a_thread_has_the_handler_is_served_by_that_thread`, `many_connections_are_served_by_all_threads_and_each_by_one_at_a_time` |
//! | a callback that is stuck | named while it is, with how long and in which system call | `a_callback_that_sleeps_is_named_with_its_system_call_while_it_does`, `a_callback_over_a_tenth_of_a_second_is_counted_and_reported_by_name` |
//! | 29 deadlines of zero, of the past, beyond the clock | saturating ticks; the wheel agrees with a sorted set | `the_wheel_agrees_with_a_sorted_set`, `never_is_no_deadline_even_when_time_runs_out`, `far_deadlines_fire_on_their_tick_and_those_beyond_the_clock_never`, `a_timerfd_set_to_the_past_or_to_zero_rings_at_once` |
//! | 30 a million timers in one tick | a budget for each turn, and I/O between | `a_storm_is_drained_in_budgets_and_nothing_is_lost_or_reordered`, `five_thousand_leftovers_deadlines_or_wake_ups_take_no_more_than_their_budget_of_a_turn`, `idle_connections_are_cut_at_their_deadline_and_cost_little` |
//! | 27 the wall clock jumps by hours or years | deadlines are of the monotonic clock; the Date follows | `a_wall_clock_that_jumps_moves_no_deadline_and_the_date_follows`, `the_date_kept_follows_the_clock_both_ways`, `a_wall_clock_alarm_is_absolute_on_the_wall_clock_so_that_the_kernel_follows_its_steps` |
//!
//! # Signals, drain, hand-over
//!
//! | fault | what trine does | proof |
//! |---|---|---|
//! | 22 signals by thousands | at most one batch a turn; equal ones merge | `ten_thousand_signals_a_second_are_merged_and_harm_nobody`, `a_thousand_rapid_signals_fill_the_pipe_and_arrive_as_one_event`, `different_signals_never_merge`, `a_flood_of_messages_keeps_neither_timers_nor_signals_from_running` |
//! | 23 a signal for another thread | it interrupts nobody; children begin with an empty mask | `a_signal_during_a_blocking_call_of_another_thread_interrupts_nobody`, `a_child_begins_with_no_signal_blocked_or_caught_and_without_descriptors_of_the_loop`, `a_child_has_an_empty_mask_and_catches_nothing` |
//! | 24 SIGTERM with work under way | idle connections end at once, work is finished and says `close`, status 0; a second signal forces the end | `what_is_under_way_is_answered_and_what_is_idle_is_closed`, `under_load_every_request_that_was_taken_is_answered`, `a_second_signal_forces_the_end_with_a_status_of_its_own`, `sigterm_under_256_connections_that_are_kept_loses_no_request`, `sigterm_drains_and_what_is_under_way_is_answered` |
//! | 25 a client that keeps a drain waiting | cut at the drain's deadline, with a status of its own | `the_drain_deadline_forces_the_end_and_not_before`, `a_drain_that_takes_too_long_is_forced`, `a_draining_server_still_has_deadlines` |
//! | 26 SIGHUP, and a successor | the listening sockets are passed on; a bad configuration keeps the old one | `twenty_hand_overs_under_load_lose_no_request`, `a_successor_that_dies_before_it_is_ready_leaves_the_process_serving`, `a_bad_configuration_keeps_the_old_one_and_signals_go_on_working` |
//! | 47 privileges after bind | given up for good, and checked | `a_server_that_was_bound_as_root_serves_as_nobody_for_good`, `workers_that_are_started_afterwards_have_no_privileges_either`, `what_cannot_be_is_an_error_that_says_why` |
//! | 48 sockets from a service manager | each is checked; nonsense is a clear error | `systemd_socket_activate_starts_it_at_the_first_connection`, `a_socket_that_systemd_opened_is_served_and_the_variables_are_unset`, `an_environment_that_makes_no_sense_is_a_clear_error` |
//! | 49 an admin side exposed, or starved | a listener of its own on loopback or a Unix socket, with connections in reserve | `serve_two_sides_with_few_descriptors`, `as_many_clients_as_are_reserved_are_served_without_any_descriptor_left`, `a_unix_socket_serves_the_same_and_its_file_goes_with_it` |
//!
//! # Services and threads
//!
//! | fault | what trine does | proof |
//! |---|---|---|
//! | 31 a handler panics | 500 if nothing was sent, else a cut; that connection only | `a_panic_is_answered_500_and_harms_no_other`, `wherever_a_service_panics_one_client_gets_500_or_a_cut_and_it_is_counted`, `a_panic_in_an_exchange_cuts_its_own_connection_and_no_other`, `a_thousand_panics_at_once_are_a_thousand_answers_and_harm_nobody`, `no_job_of_a_worker_is_lost_or_answered_twice_in_any_seed` |
//! | 32 a worker dies, a Drop panics | replaced; the request is answered once | `a_worker_that_dies_is_replaced_and_no_request_hangs`, `jobs_that_panic_cost_no_thread_even_if_what_they_threw_panics_too`, `a_worker_whose_drop_panics_is_replaced_and_at_the_end_it_is_not`, `a_panic_in_register_in_the_last_call_or_in_drop_leaves_nothing_behind_either` |
//! | 33 a panic in a store | no lock is held over code of others; that session is reopened | `a_store_goes_on_when_what_it_is_given_and_who_waits_for_it_panic`, `a_panic_is_unknown_and_the_session_is_reopened`, `a_completion_that_panics_harms_nobody`, `a_completion_that_panics_at_any_call_stops_no_thread` |
//! | 39 descriptors left open in a child | all of them close on exec | `a_child_begins_with_no_signal_blocked_or_caught_and_without_descriptors_of_the_loop`, `a_child_has_three_descriptors_whatever_the_server_has` |
//! | 50 io_uring denied, its queues full, cancels by the hundred | emulated from then on; the kernel keeps what has no room; each operation has one last word | `a_denied_ring_is_reported_once_for_each_proactor_and_a_granted_one_is_not`, `the_same_in_a_queue_that_is_much_too_small`, `a_storm_of_cancels_ends_each_operation_once_and_gives_back_each_buffer`, `.ci/uring` |
//!
//! # Storage
//!
//! | fault | what trine does | proof |
//! |---|---|---|
//! | 35 a disk that stalls | the loop never waits; the handler's deadline answers | `while_a_sync_takes_five_seconds_everybody_else_is_answered_at_once`, `reads_go_on_while_a_sync_takes_two_seconds`, `.ci/storage_faults`, `.ci/kv` |
//! | 36 no space, I/O errors | an error to whoever asked; after a failed sync nothing more is written | `a_full_disk_fails_writes_until_there_is_space_and_loses_nothing`, `a_failed_sync_ends_writing_for_good`, `a_failure_at_any_io_loses_nothing_acknowledged_and_acknowledges_nothing_lost`, `what_was_acknowledged_is_there_after_the_loss_of_power_in_any_seed` |
//! | 37 killed while writing | what was acknowledged is there | `what_the_durable_store_acknowledged_is_there_after_a_kill`, `no_acknowledged_write_is_lost_when_the_server_is_killed`, `power_loss_keeps_what_was_acknowledged_and_nothing_by_halves` |
//!
//! # HTTP
//!
//! | fault | what trine does | proof |
//! |---|---|---|
//! | 40 smuggling | RFC 9112 to the letter, or 400 and the end; see the [attacks](crate::http#known-attacks-and-the-tests-that-hold-them-off) | `requests_outside_the_rules_are_refused_with_the_status_of_the_rule`, `chunks_outside_the_rules_are_refused_with_the_status_of_the_rule`, `what_is_wrong_is_refused_once_and_followed_by_silence` |
//! | 41 a response split by a value | refused where it is set | `what_could_split_a_response_is_refused`, `fuzz/fuzz_targets/encoder.rs` |
//! | 42 traversal | resolved beneath the folder by the kernel, or component by component | `no_path_leads_out_of_the_folder_and_none_to_what_is_no_file`, `both_ways_to_resolve_a_path_stay_inside`, `a_path_is_split_at_its_slashes_and_its_segments_are_decoded_after_that` |
//! | 43 escapes and line ends in a log | one line of printable ASCII for a request, a kibibyte for a field | `whatever_is_sent_is_one_line_of_printable_ascii`, `nothing_a_client_sends_makes_a_second_line_or_moves_a_terminal`, `a_field_of_a_log_line_is_at_most_a_kibibyte` |
//! | 44 lengths that overflow | digits, counted and checked | `numbers_are_digits_below_two_to_the_power_of_64`, `chunks_outside_the_rules_are_refused_with_the_status_of_the_rule`, `requests_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | 45 keys that collide | fields are a list of bounded length; the memory store hashes with a key of its own | `each_store_hashes_keys_in_its_own_way`, `every_rule_and_limit_has_a_request_that_breaks_it_and_names_its_section` |
//!
//! # What went wrong elsewhere
//!
//! | seen in | what is looked at | proof |
//! |---|---|---|
//! | hyper RUSTSEC-2020-0008 | what follows a GET without framing is the next request | `bytes_behind_a_request_without_a_length_are_the_next_request` |
//! | hyper RUSTSEC-2021-0020, tiny_http 2020-0031, actix-http 2021-0081, Pingora 2026-0034 | two framings, an odd coding, a coding in HTTP/1.0: 400 | `requests_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | hyper RUSTSEC-2021-0078 | a length with a sign, blanks or nothing: 400 | `requests_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | hyper RUSTSEC-2021-0079, nginx CVE-2013-2028 and e419e28, hyper 82915386 | a chunk size that overflows or is empty, in debug and in release | `chunks_outside_the_rules_are_refused_with_the_status_of_the_rule`, `.ci/fuzz` |
//! | hyper #3495, node CVE-2024-22019 | extensions of chunks count | `a_flood_of_tiny_chunks_or_extensions_is_cut_and_small_honest_chunks_are_not` |
//! | hyper #2457, #3185, #3780 | the deadline of a head runs before its first byte, and between requests | `a_connection_that_never_speaks_closes_silently_after_10_s`, `a_later_head_has_10_s_from_its_first_bytes` |
//! | hyper #2864, #3852, #2355 | deadlines for bodies, writing and idleness, on by default | `the_defaults_in_the_documents_are_those_of_the_code` |
//! | hyper #4085 | a half-closed peer with its body open costs no processor | `clients_that_half_close_are_answered_and_nothing_spins`, `a_client_that_half_closes_gets_its_whole_answer_and_no_turn_is_spent_waiting_for_it` |
//! | hyper #4022 | what was said is delivered before the end | `a_stream_that_is_closed_with_bytes_unread_still_delivers_all_it_said`, `a_drain_in_the_middle_of_an_answer_delivers_all_of_it_whatever_is_pipelined_behind` |
//! | hyper #3811 | a head cut anywhere | `a_head_cut_anywhere_gives_what_the_whole_gives`, `a_request_cut_at_any_octet_is_answered_the_same` |
//! | hyper #4019 | octets that are no text in a field | `requests_outside_the_rules_are_refused_with_the_status_of_the_rule`, `fuzz/fuzz_targets/request_parser.rs` |
//! | hyper #2746 | a clock that goes back | `a_monotonic_clock_that_goes_back_reads_as_one_that_stands_still` |
//! | async-h1 RUSTSEC-2020-0093, Pingora 2025-0037, actix #3182 | a body nobody read is no request | `what_an_early_answer_leaves_unread_is_read_for_nobody_within_limits`, `each_planted_bug_of_the_server_is_found_within_2000_seeds` |
//! | Pingora 2026-0033 | octets behind Upgrade | `bytes_behind_an_upgrade_that_is_not_taken_are_the_next_request`, `connect_is_refused_before_a_service_could_open_a_false_tunnel` |
//! | actix #1269 | what a deadline counts from after a stall, and how stale that may be | `now_is_cached_for_a_turn_and_read_again_after_sixteen_callbacks`, `requests_that_come_in_time_while_the_loop_is_stalled_are_answered_however_many` |
//! | actix #928 | a connection for one request has the deadline of its head | `a_connection_for_one_request_has_the_deadline_of_its_head_all_the_same` |
//! | actix-web 2018-0019, actix-http 2020-0048, hyper 2022-0022 | no unsafe code: forbidden, but with the feature `io-uring` in one file | `the_crate_forbids_unsafe_code`, `one_file_has_unsafe_code_and_each_block_its_reason` |
//! | tokio #6682, #8252 | the earliest deadline after inserting and cancelling | `the_wheel_agrees_with_a_sorted_set`, `cleared_deadlines_wake_the_loop_at_most_once_a_slot_and_then_no_more` |
//! | tokio #6612, #6487, mio #1657, #1948 | timeouts of months, and without end | `far_deadlines_fire_on_their_tick_and_those_beyond_the_clock_never`, `a_timerfd_set_as_far_as_can_be_said_does_not_ring` |
//! | tokio #8056 | threads that go to sleep while work comes | `items_meet_threads_that_go_to_sleep_and_none_is_lost_or_there_twice`, `.ci/loom` |
//! | tokio RUSTSEC-2021-0124, crossbeam 2025-0024 | a queue that is closed while it is used drops each item once | `items_left_in_a_queue_are_dropped_with_its_last_owner`, `nothing_goes_into_a_closed_queue_and_everything_comes_out`, `.ci/loom` |
//! | tokio #3529, axum #2400, libuv #690, wai #928, bun #32705 | EMFILE neither spins nor parks | `a_server_without_descriptors_is_still_and_serves_those_it_has`, `when_descriptors_come_free_who_waits_is_accepted_with_no_new_client` |
//! | axum with tokio_listener, payjoin #1608 | no error of accept parks the listener | `an_error_of_accept_is_either_one_connections_or_a_reason_to_pause`, `.ci/faults`, `each_planted_bug_of_the_server_is_found_within_2000_seeds` |
//! | tokio #8204 | a forked child takes no wake-up of its parent | `a_loop_refuses_every_turn_in_a_forked_child_and_takes_nothing_from_its_parent` |
//! | tokio #7494 | spurious readiness of an eventfd, a timerfd, a pidfd | `an_eventfd_that_is_never_read_wakes_every_time`, `a_wall_clock_alarm_does_not_take_spurious_readiness_for_its_hour` |
//! | mio RUSTSEC-2024-0019, HAProxy 237e6a0d | no event for who was removed | `a_source_removed_earlier_in_the_batch_is_not_called_for_its_event_which_counts_as_stale`, `a_descriptor_closed_early_does_not_deregister_the_next_one_with_its_number` |
//! | mio #1497, #1636 | descriptors close on exec; what fails leaks none | `a_child_begins_with_no_signal_blocked_or_caught_and_without_descriptors_of_the_loop`, `senders_that_outlive_their_loop_leak_no_descriptor` |
//! | libuv 1.45, 1.48, 1.49 | accepting in batches; timers without delay give way; deregistered before closed | `a_burst_of_connections_is_accepted_in_parts_and_others_have_their_turn_between`, `a_timer_without_delay_that_rearms_itself_has_one_pass_a_turn_and_starves_nobody`, `a_descriptor_that_lives_on_as_a_duplicate_brings_no_events_for_a_removed_source` |
//! | HAProxy e8b1ad4c, ef8d8215 | a wall clock that jumps moves no timer | `a_wall_clock_that_jumps_moves_no_deadline_and_the_date_follows` |
//! | HAProxy 5a3735a1 | no time is a sentinel | `never_is_no_deadline_even_when_time_runs_out`, `a_timerfd_set_to_the_past_or_to_zero_rings_at_once` |
//! | HAProxy 394bd4eb | clients turned away when descriptors are low | `clients_that_cannot_be_accepted_for_long_are_turned_away_and_do_not_hang` |
//! | HAProxy CVE-2021-40346, CVE-2023-25725, CVE-2023-40225 | names that are too long or empty, lengths that are empty | `a_name_or_value_longer_than_16_bits_count_keeps_all_its_octets`, `requests_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | HAProxy 97490a77 | a reload that fails leaves signals working | `a_bad_configuration_keeps_the_old_one_and_signals_go_on_working` |
//! | node CVE-2018-12121, 2018-12122, 2019-5737, 2019-5739 | small heads; slow heads on kept connections | `limits_hold_without_a_line_end_ever_coming`, `a_later_head_has_10_s_from_its_first_bytes` |
//! | node CVE-2013-4450 | unread answers stop the parser | `pipelined_requests_whose_answers_nobody_reads_stop_the_parser` |
//! | node CVE-2023-30589, 2021-22959, 2024-27982, 2018-7159 | bare CR, blanks before a colon or a line or in a length | `requests_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | nginx f405ef1, picohttpparser a875a01, HTTP-Garden 17, 31, 39 | lines of chunks end with CR LF | `chunks_outside_the_rules_are_refused_with_the_status_of_the_rule` |
//! | nginx CVE-2017-7529, cb9252a | ranges, with checked arithmetic | `no_range_reaches_past_the_end_or_overflows` |
//! | nginx CVE-2009-4487, CVE-2009-3896 | control octets in a log; a target too long | `nothing_a_client_sends_makes_a_second_line_or_moves_a_terminal`, `what_is_far_too_long_is_refused_without_memory` |
//! | h2o CVE-2016-1133, hyper-staticfile 2022-0072 | redirects | `what_could_split_a_response_is_refused`, `a_folder_without_its_slash_is_redirected_within_this_server` |
//! | h2o CVE-2015-5638, hyper-staticfile 2022-0069 | traversal | `a_path_is_split_at_its_slashes_and_its_segments_are_decoded_after_that`, `no_path_leads_out_of_the_folder_and_none_to_what_is_no_file` |
//! | h2o #878 | SIGTERM while it starts | `sigterm_during_start_up_drains_in_the_first_turn` |
//! | bytes 2026-0007, http 2019-0033 | arithmetic of capacities; fuzzed with overflow checks | `bytes_leave_in_the_order_they_came_whatever_grows_or_moves`, `consuming_more_than_is_held_is_a_bug_that_says_so`, `.ci/fuzz` |
//! | lru 2026-0253 | structures are whole when a Drop panics | `a_panic_in_register_in_the_last_call_or_in_drop_leaves_nothing_behind_either`, `jobs_that_panic_cost_no_thread_even_if_what_they_threw_panics_too` |
//! | quinn-proto 2026-0037 | nothing outside is unwrapped; a fuzz target for each decoder | `nothing_outside_tests_unwraps`, `every_fuzz_target_is_built_and_named` |
//! | h2 2026-0258 | pieces without content count | `a_flood_of_tiny_chunks_or_extensions_is_cut_and_small_honest_chunks_are_not`, `empty_lines_between_requests_extend_nothing` |
//! | tokio #7724, #7815, #8277, #7983, #7786 | io_uring denied, too old, too full, interrupted: the emulation takes over, or nothing is lost | `a_denied_ring_is_reported_once_for_each_proactor_and_a_granted_one_is_not`, `completions_that_the_queue_has_no_room_for_come_nevertheless`, `a_client_that_nobody_takes_is_closed`, `.ci/uring` |
//! | rio 2020-0021 | memory is the operation's until its completion, whoever drops what | `a_dropped_handle_cancels_what_is_under_way_and_closes_then`, `a_loop_that_is_dropped_leaves_no_operation_behind` |
//! | foyer #1286 | a completion that nobody waits for | `a_client_that_left_has_nothing_written_that_was_not_begun`, `loom_work_that_nobody_waits_for_is_seen_to_be_cancelled` |
//! | redb #299 and #450, neon #8140, turso #3077 | a sync that failed is the end of that store | `a_failed_sync_ends_writing_for_good`, `a_sync_that_fails_fences_the_store_and_nothing_is_acknowledged` |
//! | rust #87906 | which clock, on purpose: monotonic, which a suspended machine stops | `due_ids_come_in_order_of_ticks_and_within_a_tick_of_numbers_even_after_a_suspend` |
//!
//! # Not here
//!
//! TLS (46; rustls 2024-0336 and 2024-0399): there is none.
