//! Membership in groups.

use std::sync::Arc;

use trailgate_topics::{Backbone, Message, Offset, Partition, Subscription, Topic};

use super::{append, ends, fresh, group, marked, message, number, records, start, within};

pub async fn a_partition_without_a_start_is_not_read(backbone: &Arc<dyn Backbone>) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Claims).await);
    append(backbone, Topic::Claims, 0, &mark, 0..3).await;
    append(backbone, Topic::Claims, 1, &mark, 3..6).await;
    let mut member = backbone.subscribe(Topic::Claims, &group(&mark, "a")).unwrap();
    let Message::Assigned(assignment) = message(&mut member).await else {
        panic!("assigned first")
    };
    let came: Vec<_> = assignment.partitions().iter().map(|assigned| assigned.partition).collect();
    assert_eq!(came.len(), backbone.partitions() as usize);
    let first = assignment.partitions().iter().find(|a| a.partition == Partition(0)).unwrap();
    assert_eq!((first.committed, first.watermarks.high), (None, Offset(from[&Partition(0)].0 + 3)));
    assignment.start(vec![(Partition(1), from[&Partition(1)])]);
    for expected in 3..6 {
        let Message::Record(custody) = message(&mut member).await else { panic!("a record") };
        assert_eq!(number(&mark, custody.record()), Some(expected));
        custody.delivered();
    }
}

pub async fn a_dropped_record_holds_the_committed_place(backbone: &Arc<dyn Backbone>) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Claims).await);
    let places = append(backbone, Topic::Claims, 0, &mark, 0..4).await;
    let mut member = backbone.subscribe(Topic::Claims, &group(&mark, "a")).unwrap();
    let mut taken = records(&mut member, &from, 4).await.into_iter();
    taken.next().unwrap().delivered();
    drop(taken.next().unwrap());
    taken.for_each(trailgate_topics::Custody::delivered);
    drop(member);

    let mut member = backbone.subscribe(Topic::Claims, &group(&mark, "a")).unwrap();
    let again = records(&mut member, &from, 3).await;
    let seen: Vec<_> = again.iter().map(|custody| custody.record().offset).collect();
    assert_eq!(seen, places[1..], "the one that was dropped and what is behind it come again");
    again.into_iter().for_each(trailgate_topics::Custody::delivered);
    drop(member);

    let mut member = backbone.subscribe(Topic::Claims, &group(&mark, "a")).unwrap();
    let Message::Assigned(assignment) = message(&mut member).await else {
        panic!("assigned first")
    };
    let first = assignment.partitions().iter().find(|a| a.partition == Partition(0)).unwrap();
    assert_eq!(first.committed, Some(places[3].next()));
    let told = within(backbone.committed(&group(&mark, "a").name, Topic::Claims)).await.unwrap();
    assert_eq!(told, [(Partition(0), places[3].next())]);
}

pub async fn a_seek_reads_again_and_a_stop_stops(backbone: &Arc<dyn Backbone>) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Claims).await);
    let places = append(backbone, Topic::Claims, 0, &mark, 0..5).await;
    let mut member = backbone.subscribe(Topic::Claims, &group(&mark, "a")).unwrap();
    drop(records(&mut member, &from, 5).await);
    member.seek(Partition(0), places[2]).await.unwrap();
    for expected in 2..5 {
        let again = records(&mut member, &from, 1).await.remove(0);
        assert_eq!(number(&mark, again.record()), Some(expected));
        again.delivered();
    }
    member.stop(Partition(0)).await.unwrap();
    // Commands are obeyed in order, so the second shows that the first was.
    member.stop(Partition(1)).await.unwrap();
    member.seek(Partition(1), from[&Partition(1)]).await.unwrap();
    append(backbone, Topic::Claims, 0, &mark, 5..6).await;
    append(backbone, Topic::Claims, 1, &mark, 6..7).await;
    let next = records(&mut member, &from, 1).await.remove(0);
    assert_eq!(number(&mark, next.record()), Some(6));
}

pub async fn a_revocation_waits_for_its_owner(backbone: &Arc<dyn Backbone>) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Claims).await);
    let count = backbone.partitions();
    for partition in 0..count {
        append(backbone, Topic::Claims, partition, &mark, 0..1).await;
    }
    let mut first = backbone.subscribe(Topic::Claims, &group(&mark, "a")).unwrap();
    let mut held = records(&mut first, &from, count as usize).await;
    let mut second = backbone.subscribe(Topic::Claims, &group(&mark, "b")).unwrap();
    let revocation = loop {
        match message(&mut first).await {
            Message::Revoked(revocation) => break revocation,
            Message::Assigned(assignment) => start(assignment, &from),
            other @ (Message::Record(_)
            | Message::Lost(_)
            | Message::Missing { .. }
            | Message::Unreachable) => panic!("unexpected {other:?}"),
        }
    };
    let going = revocation.partitions().to_vec();
    assert!(!going.is_empty());
    // Delivered while the group waits: counted, since the answer comes afterwards.
    for custody in held.extract_if(.., |custody| going.contains(&custody.record().partition)) {
        custody.delivered();
    }
    revocation.drained();
    let mut came = Vec::new();
    while came.is_empty() {
        match within(both(&mut first, &mut second)).await {
            (false, Message::Assigned(assignment)) => start(assignment, &from),
            (false, Message::Revoked(revocation)) => revocation.drained(),
            (true, Message::Assigned(assignment)) => {
                came.extend_from_slice(assignment.partitions());
                start(assignment, &from);
            }
            // What was not delivered may come again after a move.
            (_, Message::Unreachable) | (false, Message::Record(_)) => {}
            (_, other) => panic!("unexpected {other:?}"),
        }
    }
    for assigned in came.iter().filter(|assigned| going.contains(&assigned.partition)) {
        let delivered = Offset(from[&assigned.partition].0 + 1);
        assert_eq!(assigned.committed, Some(delivered), "what was drained is not read again");
    }
    drop(held);
}

pub async fn members_share_partitions_and_a_leaver_s_go_on(backbone: &Arc<dyn Backbone>) {
    let (mark, from) = (fresh(), ends(backbone, Topic::Claims).await);
    let mut first = backbone.subscribe(Topic::Claims, &group(&mark, "a")).unwrap();
    let mut second = backbone.subscribe(Topic::Claims, &group(&mark, "b")).unwrap();
    let (mut by_first, mut by_second) = (Vec::new(), Vec::new());
    let mut sent = 0;
    // Until both have had some; each record is had by one of them.
    while by_first.is_empty() || by_second.is_empty() {
        for partition in 0..backbone.partitions() {
            let appender = backbone.appender().unwrap();
            within(appender.append(marked(Topic::Claims, partition, &mark, sent))).await.unwrap();
            sent += 1;
        }
        while by_first.len() + by_second.len() < sent {
            let (is_second, message) = within(both(&mut first, &mut second)).await;
            let had = if is_second { &mut by_second } else { &mut by_first };
            take(message, &from, &mark, had);
        }
    }
    drop(second);
    for partition in 0..backbone.partitions() {
        let number = sent + partition as usize;
        append(backbone, Topic::Claims, partition, &mark, number..number + 1).await;
    }
    sent += backbone.partitions() as usize;
    while by_first.len() + by_second.len() < sent {
        let message = message(&mut first).await;
        take(message, &from, &mark, &mut by_first);
    }
    by_first.extend(by_second);
    by_first.sort_unstable();
    assert_eq!(by_first, (0..sent).collect::<Vec<_>>(), "none was missed and none came twice");
}

pub async fn a_missing_range_is_told_and_stops_its_partition(backbone: &Arc<dyn Backbone>) {
    let mark = fresh();
    let places = append(backbone, Topic::Refused, 0, &mark, 0..5).await;
    within(backbone.trim(Topic::Refused, Partition(0), places[3])).await.unwrap();
    append(backbone, Topic::Refused, 1, &mark, 5..6).await;
    let ends = ends(backbone, Topic::Refused).await;
    let mut member = backbone.subscribe(Topic::Refused, &group(&mark, "a")).unwrap();
    let Message::Assigned(assignment) = message(&mut member).await else {
        panic!("assigned first")
    };
    let other = Offset(ends[&Partition(1)].0 - 1);
    assignment.start(vec![(Partition(0), places[1]), (Partition(1), other)]);
    let (mut is_told, mut is_read) = (false, false);
    while !(is_told && is_read) {
        match message(&mut member).await {
            Message::Missing { partition, low, wanted } => {
                assert_eq!((partition, low, wanted), (Partition(0), places[3], places[1]));
                is_told = true;
            }
            Message::Record(custody) => {
                assert_eq!(number(&mark, custody.record()), Some(5), "the other goes on");
                custody.delivered();
                is_read = true;
            }
            other @ (Message::Assigned(_)
            | Message::Revoked(_)
            | Message::Lost(_)
            | Message::Unreachable) => panic!("unexpected {other:?}"),
        }
    }
    // A person accepted it: the owner says where to go on.
    member.seek(Partition(0), places[3]).await.unwrap();
    for expected in 3..5 {
        let Message::Record(custody) = message(&mut member).await else { panic!("a record") };
        assert_eq!(number(&mark, custody.record()), Some(expected));
        custody.delivered();
    }
}

/// The next message of either, and whether it is the second's.
async fn both(first: &mut Subscription, second: &mut Subscription) -> (bool, Message) {
    tokio::select! {
        message = message(first) => (false, message),
        message = message(second) => (true, message),
    }
}

fn take(
    message: Message,
    from: &std::collections::BTreeMap<Partition, Offset>,
    mark: &str,
    had: &mut Vec<usize>,
) {
    match message {
        Message::Assigned(assignment) => start(assignment, from),
        Message::Revoked(revocation) => revocation.drained(),
        Message::Record(custody) => {
            had.extend(number(mark, custody.record()));
            custody.delivered();
        }
        other @ (Message::Lost(_) | Message::Missing { .. } | Message::Unreachable) => {
            panic!("unexpected {other:?}")
        }
    }
}
