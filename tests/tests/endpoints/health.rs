//! Health: who is used while others are worse, and who is when nobody is better.

use gateway_testkit::Lab;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{WithWeb, echo, gateway, in_use, mesh, open, resolver, row, spread};

const CRITICAL: &str = "Status = \"critical\"";

#[tokio::test]
async fn new_connections_leave_a_critical_instance_and_old_ones_stay() {
    let lab = Lab::new().unwrap();
    let (one, two) = (echo(), echo());
    let both = [one.address(), two.address()];
    let (catalog, gateway) = gateway(&lab, mesh().web(both[0], "").web(both[1], ""), &[]).await;
    let mut held = [open(&gateway, "web").await, open(&gateway, "web").await];
    assert_eq!((one.seen().len(), two.seen().len()), (1, 1));

    catalog.write("mesh.toml", mesh().web(both[0], CRITICAL).web(both[1], "")).unwrap();
    in_use(&gateway, 2).await;
    assert_eq!(spread(&gateway, "web", 6, both).await, [0, 6]);
    let sick = row(&gateway, "web", both[0]).await.unwrap();
    assert_eq!((&sick["healthy"], &sick["in_flight"]), (&false.into(), &1.into()), "{sick}");
    for stream in &mut held {
        stream.write_all(b"still here").await.unwrap();
        let mut back = [0; 10];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"still here");
    }

    catalog.write("mesh.toml", mesh().web(both[0], "").web(both[1], "")).unwrap();
    in_use(&gateway, 3).await;
    assert_eq!(spread(&gateway, "web", 6, both).await, [3, 3], "healthy again");
}

#[tokio::test]
async fn when_all_are_critical_all_are_tried() {
    let lab = Lab::new().unwrap();
    let (one, two) = (echo(), echo());
    let both = [one.address(), two.address()];
    let (_catalog, gateway) = gateway(&lab, mesh().web(both[0], CRITICAL).web(both[1], CRITICAL), &[]).await;
    assert_eq!(spread(&gateway, "web", 6, both).await, [3, 3]);
}

#[tokio::test]
async fn one_healthy_instance_carries_all_unless_the_threshold_says_panic() {
    for (threshold, expected) in [("0", [6, 0, 0]), ("50", [2, 2, 2])] {
        let lab = Lab::new().unwrap();
        let (one, two, three) = (echo(), echo(), echo());
        let all = [one.address(), two.address(), three.address()];
        let document = mesh().web(all[0], "").web(all[1], CRITICAL).web(all[2], CRITICAL);
        let (_catalog, gateway) = gateway(&lab, document, &[("EJECTION_PANIC_THRESHOLD", threshold)]).await;
        assert_eq!(spread(&gateway, "web", 6, all).await, expected, "threshold {threshold}");
    }
}

#[tokio::test]
async fn only_passing_leaves_out_warnings_where_it_is_asked_for() {
    let lab = Lab::new().unwrap();
    let (passing, warning) = (echo(), echo());
    let both = [passing.address(), warning.address()];
    let document = mesh()
        .web(both[0], "")
        .web(both[1], "Status = \"warning\"\nWeights = { Passing = 1, Warning = 3 }")
        .text(&resolver("Subsets.strict = { Filter = \"\", OnlyPassing = true }"));
    let (_catalog, gateway) = gateway(&lab, document, &[]).await;
    assert_eq!(spread(&gateway, "strict.web", 8, both).await, [8, 0]);
    assert_eq!(spread(&gateway, "web", 8, both).await, [2, 6], "with the weight of a warning");
}

#[tokio::test]
async fn a_subset_has_the_instances_that_its_filter_takes_with_their_health() {
    let lab = Lab::new().unwrap();
    let (old, new, sick) = (echo(), echo(), echo());
    let all = [old.address(), new.address(), sick.address()];
    let v2 = "Meta = { version = \"v2\" }\nTags = [\"blue\"]";
    let filter = r#"Subsets.v2.Filter = 'Service.Meta.version == "v2" and blue in Service.Tags'"#;
    let document = mesh()
        .web(all[0], "Meta = { version = \"v1\" }")
        .web(all[1], v2)
        .web(all[2], &format!("{v2}\n{CRITICAL}"))
        .text(&resolver(filter));
    let (_catalog, gateway) = gateway(&lab, document, &[]).await;
    assert_eq!(spread(&gateway, "v2.web", 6, all).await, [0, 6, 0]);
    assert_eq!(spread(&gateway, "web", 6, all).await, [3, 3, 0]);
}
