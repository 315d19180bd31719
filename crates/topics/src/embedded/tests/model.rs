//! The log against a model of it: a vector for each partition.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Act {
    /// So many records, not awaited before the last is sent.
    Append {
        partition: u32,
        count: usize,
        length: usize,
    },
    /// Trims to this part of what is kept.
    Trim {
        partition: u32,
        percent: i64,
    },
    /// Keeps state under one of a few keys, or forgets it.
    Keep {
        partition: u32,
        key: u8,
        is_tombstone: bool,
    },
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0_u32..2, 1_usize..40, 0_usize..40_000)
            .prop_map(|(partition, count, length)| Act::Append { partition, count, length }),
        1 => (0_u32..2, 0_i64..=100).prop_map(|(partition, percent)| Act::Trim { partition, percent }),
        4 => (0_u32..2, 0_u8..3, any::<bool>())
            .prop_map(|(partition, key, is_tombstone)| Act::Keep { partition, key, is_tombstone }),
        1 => Just(Act::Reopen),
    ]
}

#[derive(Debug, Default)]
struct Model {
    /// Where each partition of events begins, and all that was ever appended.
    events: [(usize, Vec<Vec<u8>>); 2],
    /// The last of each key in the changelog, with its place; and the next place.
    state: [(BTreeMap<u8, Kept>, i64); 2],
}

/// A place, and the value that lies there.
type Kept = (i64, Vec<u8>);

async fn act_on(log: &EmbeddedLog, model: &mut Model, number: usize, act: &Act) {
    match *act {
        Act::Append { partition, count, length } => {
            let appender = log.appender().unwrap();
            let (_, kept) = &mut model.events[partition as usize];
            let first = kept.len();
            let acks: Vec<_> = (0..count)
                .map(|index| {
                    let mut value = format!("{number}/{index}").into_bytes();
                    value.resize(value.len() + length, b'.');
                    kept.push(value.clone());
                    appender.append(record(Topic::Events, partition, "k", Some(&value)))
                })
                .collect();
            let places = futures::future::try_join_all(acks).await.unwrap();
            let expected = (first..first + count).map(|place| Offset(place as i64));
            assert!(places.into_iter().eq(expected), "places are dense");
        }
        Act::Trim { partition, percent } => {
            let (low, kept) = &mut model.events[partition as usize];
            *low += (kept.len() - *low) * percent as usize / 100;
            log.trim(Topic::Events, Partition(partition), Offset(*low as i64)).await.unwrap();
        }
        Act::Keep { partition, key, is_tombstone } => {
            let value = format!("{number}").into_bytes();
            let kept = (!is_tombstone).then_some(&value[..]);
            let name = char::from(b'a' + key).to_string();
            let place = append(log, record(Topic::MaskerState, partition, &name, kept)).await;
            let (last, next) = &mut model.state[partition as usize];
            assert_eq!(place, Ok(Offset(*next)));
            last.remove(&key);
            if !is_tombstone {
                last.insert(key, (*next, value));
            }
            *next += 1;
        }
        Act::Reopen => {}
    }
}

async fn compare(log: &EmbeddedLog, model: &Model) {
    let events = all(log, Topic::Events).await;
    let state = all(log, Topic::MaskerState).await;
    let of = |records: &[Record], p: usize| -> Vec<(i64, Vec<u8>)> {
        let of = records.iter().filter(|record| record.partition.0 as usize == p);
        of.map(|record| (record.offset.0, record.value.clone().unwrap().to_vec())).collect()
    };
    let watermarks = log.watermarks(Topic::Events).await.unwrap();
    for (index, (low, kept)) in model.events.iter().enumerate() {
        let expected = kept.iter().cloned().enumerate().skip(*low);
        let expected: Vec<_> = expected.map(|(place, value)| (place as i64, value)).collect();
        assert_eq!(of(&events, index), expected);
        let marks = watermarks[index].1;
        assert_eq!((marks.low.0, marks.high.0), (*low as i64, kept.len() as i64));
    }
    let watermarks = log.watermarks(Topic::MaskerState).await.unwrap();
    for (index, (last, next)) in model.state.iter().enumerate() {
        let mut expected: Vec<_> = last.values().cloned().collect();
        expected.sort_unstable();
        assert_eq!(of(&state, index), expected, "the last of each key, oldest first");
        assert_eq!(watermarks[index].1.high.0, *next, "places are never given again");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn it_holds_what_a_vector_holds(acts in prop::collection::vec(act(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let mut log = ready(folder.path(), Arc::new(SystemClock)).await;
            let mut model = Model::default();
            for (number, act) in acts.iter().enumerate() {
                if matches!(act, Act::Reopen) {
                    drop(log);
                    log = open(folder.path(), 2, Arc::new(SystemClock));
                }
                act_on(&log, &mut model, number, act).await;
                compare(&log, &model).await;
            }
        });
    }
}
