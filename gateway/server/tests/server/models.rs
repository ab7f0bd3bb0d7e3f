use gateway_engine::scripted::Script;
use insta::assert_json_snapshot;

use crate::house::House;

#[test]
fn models_are_the_base_the_presets_and_the_adapters() {
    let house = House::open(Script::default());
    let list = house.get("/v1/models").json();
    assert_json_snapshot!(list, {".data[].created" => 0});
    for model in list["data"].as_array().expect("models") {
        let path = format!("/v1/models/{}", model["id"].as_str().expect("an id"));
        assert_eq!(house.get(&path).json(), *model);
    }
    let unknown = house.get("/v1/models/nobody");
    assert_eq!(
        (unknown.status, unknown.json()["error"]["code"].clone()),
        (404, "model_not_found".into())
    );
}
