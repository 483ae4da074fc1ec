//! What random faults have found, cut down: each of these groups once broke something or never agreed.

use bully_sim::node;

use crate::shrink::verdict;
use crate::text::read;

/// Nothing breaks, and all agree in the end.
#[track_caller]
fn all_agree_in(story: &str) {
    let story = read(story).expect("it can be read");
    if let Err(breach) = verdict(&story.scenario, &node) {
        panic!("{breach}");
    }
}

#[test]
fn whoever_follows_a_plain_member_that_does_not_lead_finds_out_in_a_large_group() {
    all_agree_in(
        "members 7
         capacity 4
         start together
         delay const 10ms
         plain 6
         for 80s
         seed 1739",
    );
}

#[test]
fn whoever_follows_a_plain_member_that_does_not_lead_finds_out_in_a_group_that_fits() {
    all_agree_in(
        "members 3
         capacity 8
         start together
         delay const 10ms
         plain 2
         partition below 3 from 5s to 14s gcd above
         for 60s
         seed 2138",
    );
}

#[test]
fn whoever_follows_one_that_does_not_lead_learns_it_from_its_answers_in_a_group_that_fits() {
    all_agree_in(
        "members 17
         capacity 64
         start together
         delay const 10ms
         crash leader at 2900ms until 13s next-day
         partition below 3 from 10s to 13s
         for 55s
         seed 5603",
    );
}

#[test]
fn whoever_waits_for_one_that_never_announces_itself_asks_others_in_a_large_group() {
    for story in [
        "members 6
         capacity 4
         start together
         delay uniform 0s 100ms
         plain 5
         for 80s
         seed 2244",
        "members 12
         capacity 4
         start together
         delay const 10ms
         crash leader at 2600ms
         crash leader at 2200ms
         plain 6
         for 80s
         seed 2244",
    ] {
        all_agree_in(story);
    }
}

#[test]
fn an_announced_leader_finds_a_place_where_all_others_have_messages_pending() {
    all_agree_in(
        "members 24
         capacity 4
         start together
         delay uniform 500us 1500us
         late 2 at 1757ms
         late 18 at 7s
         crash leader at 6s
         crash leader at 4378ms
         pause 24 from 2630ms to 11900ms
         hold OK any → 6 from 900ms to 11s lost
         loss 0.1 until 15s
         for 95s
         seed 1441",
    );
}

#[test]
fn an_election_is_answered_by_the_greater_process_that_has_the_address_of_another() {
    all_agree_in(
        "members 12
         capacity 8
         start together
         delay uniform 0s 100ms
         crash leader at 1722ms until 1922904us next-day
         crash 12 at 1s until 8800ms next-day
         partition below 7 from 3s to 5s
         loss 0.01 until 15s
         feign close within 261s
         for 80s
         seed 2035",
    );
}

#[test]
fn whoever_turns_up_in_an_election_of_a_large_group_is_asked() {
    all_agree_in(
        "members 18
         capacity 4
         start ascending
         delay const 40ms
         crash 14 at 1s until 6s
         cut 3 - 18 from 4600ms to 10s
         feign close within 32s
         for 80s
         seed 2045",
    );
}

#[test]
fn a_probe_from_before_an_answer_is_not_missed_after_it() {
    all_agree_in(
        "members 6
         capacity 4,8,16,64
         start together
         delay const 40ms
         crash leader at 1900ms until 2586ms
         crash 2 at 2s until 7600ms
         loss 0.5 until 15s
         for 95s
         seed 8601",
    );
}

#[test]
fn a_greater_member_that_waits_for_a_forged_one_is_not_passed_over_with_it() {
    for story in [
        "members 4
         capacity 16
         start ascending
         delay uniform 500us 1500us
         forge 2 answering from 5648977us to 14374241us
         for 80s
         seed 2966",
        "members 6
         capacity 64
         start together
         delay const 1ms
         plain 1
         forge 1 real from 7068738us to 14326526us
         for 80s
         seed 7828",
    ] {
        all_agree_in(story);
    }
}

#[test]
fn a_stopped_member_that_goes_on_may_find_its_leader_at_another_address() {
    all_agree_in(
        "members 14
         capacity 4
         start together
         delay const 40ms
         crash leader at 6s until 11s moved
         pause 5 from 2s to 14s
         for 95s
         seed 11815",
    );
}

#[test]
fn the_leader_announces_itself_to_whoever_was_not_there_and_follows_a_plain_member() {
    all_agree_in(
        "members 3
         capacity 8
         start together
         delay const 10ms
         late 3 at 9s
         plain 2
         cut 3 - 1 from 1s to 11s
         for 60s
         seed 15766",
    );
    all_agree_in(
        "members 5
         capacity 4
         start together
         delay const 10ms
         late 5 at 13s
         plain 4
         partition below 4 from 13s to 14s gcd above
         for 95s
         seed 149053",
    );
}

#[test]
fn patience_is_long_before_any_round_trip_is_known() {
    all_agree_in(
        "members 17
         capacity 4
         start ascending
         delay const 40ms
         late 6 at 2651ms
         crash 8 at 2s until 11384ms
         crash leader at 3s until 5300ms
         crash 9 at 12s
         pause leader from 4s to 7699ms
         plain 3
         partition below 10 from 2900ms to 8900ms gcd above
         loss 0.5 until 15s
         for 95s
         seed 16893",
    );
}

#[test]
fn the_one_unknown_member_in_the_list_of_one_that_names_itself_is_not_the_asker() {
    all_agree_in(
        "members 13
         capacity 16
         start ascending
         delay exp 7ms
         vanish leader at 600ms until 4100ms next-day
         plain 13
         partition below 2 from 6s to 13s gcd above
         for 70s
         seed 17481",
    );
}

#[test]
fn a_new_address_takes_the_place_of_the_one_that_has_failed_in_a_full_table() {
    all_agree_in(
        "members 4
         capacity 4
         start together
         delay uniform 0s 100ms
         late 2 at 2142ms
         crash leader at 4600ms until 6s
         crash leader at 5800ms until 14s moved
         hold OK 4 → 1 from 5s to 11s 5s
         feign close within 143s
         for 120s
         seed 19249",
    );
}

#[test]
fn a_probe_from_before_a_partition_has_healed_is_not_missed_after_it() {
    for story in [
        "members 21
         capacity 4,64
         start together
         delay uniform 500us 1500us
         late 14 at 6732ms
         vanish leader at 6193ms until 9s
         pause 14 from 6800ms to 11355ms
         partition below 17 from 3s to 4685ms gcd above
         for 95s
         seed 22199",
        "members 18
         capacity 8
         start shuffled
         delay uniform 0s 100ms
         late 10 at 1033ms
         late 17 at 5924ms
         partition below 9 from 4600ms to 5s
         partition below 17 from 10900ms to 14s
         hold COORDINATOR 17 → 7 from 3s to 11s 700ms
         for 95s
         seed 26823",
    ] {
        all_agree_in(story);
    }
}

#[test]
fn a_plain_member_does_not_join_again_and_again_for_one_that_is_gone() {
    all_agree_in(
        "members 16
         capacity 64
         start shuffled
         delay exp 7ms
         late 6 at 11s
         crash leader at 2885ms
         plain 7
         forge 32 silent from 2524218us to 9326642us
         for 95s
         seed 33533",
    );
}

#[test]
fn whoever_is_back_at_another_address_is_found_there_though_the_coordinator_refuses_it() {
    for story in [
        "members 17
         capacity 16
         start together
         delay const 10ms
         late 17 at 400ms
         crash 16 at 4s until 10s moved
         loss 0.01 until 15s
         feign close within 160s
         for 120s
         seed 12566",
        "members 7
         capacity 4
         start together
         delay const 10ms
         late 4 at 1200ms
         crash 6 at 8s until 14s moved
         feign close within 91s
         for 120s
         seed 78638",
        "members 8
         capacity 8
         start together
         delay const 10ms
         vanish leader at 3s
         crash 1 at 10s until 10s moved
         for 90s
         seed 65213",
    ] {
        all_agree_in(story);
    }
}

#[test]
fn whoever_has_said_who_it_is_stays_though_the_coordinator_lists_its_former_days() {
    all_agree_in(
        "members 11
         capacity 4,8
         start descending
         delay const 40ms
         late 6 at 2200ms
         crash leader at 6s until 7600ms
         crash leader at 2900ms until 5s next-day
         partition below 9 from 3500ms to 8300ms
         for 95s
         seed 76969",
    );
    all_agree_in(
        "members 12
         capacity 16
         start ascending
         delay uniform 500us 1500us
         vanish 2 at 2s until 14100ms next-day
         crash leader at 7s
         crash 9 at 11152ms
         slow 6 92ms
         partition below 7 from 8s to 14900ms gcd above
         cut 5 > 1 from 5s to 9s
         cut 6 - 11 from 0s to 6s
         hold any 12 → any from 4s to 12s 2300ms
         for 75s
         seed 162978",
    );
}

#[test]
fn a_leader_that_is_slower_than_the_others_is_not_left_before_its_first_answer() {
    all_agree_in(
        "members 23
         capacity 4
         start ascending
         delay const 1ms
         late 2 at 500ms
         crash leader at 5s
         crash 9 at 2s
         slow 22 52ms
         for 85s
         seed 78716",
    );
}

#[test]
fn an_answer_that_takes_longer_than_patience_costs_no_election() {
    all_agree_in(
        "members 10
         capacity 4,8
         start together
         delay exp 7ms
         late 1 at 11100ms
         late 2 at 3700ms
         crash 5 at 8s
         plain 2
         partition below 8 from 700ms to 11900ms gcd above
         for 95s
         seed 86824",
    );
}

#[test]
fn a_leader_that_has_moved_is_found_at_the_address_that_it_announces() {
    all_agree_in(
        "members 13
         capacity 4
         start descending
         delay const 1ms
         late 10 at 5s
         vanish leader at 9s until 10519ms moved
         crash leader at 4s
         pause leader from 1400ms to 4600ms
         forge 1 refusing from 3352219us to 14711222us
         for 95s
         seed 88887",
    );
}

#[test]
fn an_election_ends_though_gossip_brings_the_refusing_address_of_a_vanished_member_back() {
    all_agree_in(
        "members 12
         capacity 4,64
         start shuffled
         delay uniform 0s 100ms
         crash leader at 318ms until 4s moved
         vanish leader at 12s
         plain 10
         for 95s
         seed 124394",
    );
}

#[test]
fn a_leader_that_says_who_it_is_is_followed_though_the_coordinator_has_refused_it() {
    all_agree_in(
        "members 5
         capacity 8
         start descending
         delay uniform 0s 100ms
         crash leader at 14s until 14556ms moved
         vanish leader at 7s until 12900ms next-day
         partition below 3 from 7s to 12s gcd above
         loss 0.1 until 15s
         for 75s
         seed 120444",
    );
}

#[test]
fn a_member_that_moves_twice_is_tried_at_each_address_that_is_learned_while_it_refuses() {
    all_agree_in(
        "members 4
         capacity 8
         start descending
         delay uniform 500us 1500us
         crash 3 at 5s until 5s moved
         crash 3 at 6s until 9s moved
         feign close within 102s
         for 40s
         seed 39561",
    );
}

#[test]
fn whoever_follows_one_that_the_coordinator_never_listed_asks_the_coordinator() {
    for story in [
        "members 2
         capacity 4
         start together
         delay const 10ms
         plain 1
         partition below 2 from 6s to 14s gcd above
         forge 1 real from 12132356us to 14091546us
         for 65s
         seed 48336",
        "members 3
         capacity 64
         start descending
         delay const 40ms
         late 3 at 4500ms
         plain 1
         forge 1 real from 6841496us to 6892247us
         hold OK 1 → 2 from 5s to 13s 5s
         loss 0.5 until 15s
         for 65s
         seed 292438",
    ] {
        all_agree_in(story);
    }
}

#[test]
fn whose_answers_are_lost_is_not_asked_again_for_each_of_its_announcements() {
    all_agree_in(
        "members 19
         capacity 16
         start descending
         delay const 1ms
         hold OK any → any from 7600ms to 14s lost
         messages at most 6000
         for 90s
         seed 294272",
    );
}
