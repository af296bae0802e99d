import assert from "node:assert/strict";
import fc from "fast-check";
import { FollowedGround } from "../../../src/synchronizer/tail/followed_ground.ts";

Deno.test("a session that reaches into what was followed continues it", () => {
  const ground = new FollowedGround([{ since: 100, until: 200 }]);
  ground.begin(201);
  ground.reach(150);
  assert.deepEqual(ground.spans, [{ since: 100, until: 200 }], "nothing before its beginning");
  ground.reach(250);
  ground.reach(240);
  assert.deepEqual(ground.spans, [{ since: 100, until: 250 }]);
});

Deno.test("a session that begins later leaves a hole, and one that reaches back joins", () => {
  const ground = new FollowedGround([{ since: 100, until: 200 }]);
  ground.begin(202);
  ground.reach(300);
  ground.end();
  ground.reach(400);
  assert.deepEqual(ground.spans, [{ since: 100, until: 200 }, { since: 202, until: 300 }]);
  ground.begin(150);
  ground.reach(310);
  assert.deepEqual(ground.spans, [{ since: 100, until: 310 }]);
});

Deno.test("only the newest spans are kept", () => {
  const ground = new FollowedGround();
  for (let i = 0; i < 100; i++) {
    ground.begin(i * 10);
    ground.reach(i * 10 + 5);
    ground.end();
  }
  assert.equal(ground.spans.length, 64);
  assert.equal(ground.until, 995);
  ground.forget(990);
  assert.deepEqual(ground.spans, [{ since: 990, until: 995 }]);
});

Deno.test("whatever sessions do, the spans are exactly the seconds that they vouched for", () => {
  const session = fc.record({ from: fc.nat({ max: 80 }), reaches: fc.array(fc.nat({ max: 90 })) });
  fc.assert(fc.property(fc.array(session, { maxLength: 12 }), (sessions) => {
    const ground = new FollowedGround();
    const vouched = new Set<number>();
    let newest = -1;
    for (const { from, reaches } of sessions) {
      // Sessions follow each other: none ends before the one before has.
      ground.begin(from);
      for (const reach of reaches.map((at) => Math.max(at, newest))) {
        ground.reach(reach);
        for (let second = from; second <= reach; second++) vouched.add(second);
        newest = Math.max(newest, reach);
      }
      ground.end();
    }
    const told = new Set<number>();
    let last = -2;
    for (const { since, until } of ground.spans) {
      assert.ok(since > last + 1 && until >= since, "sorted, disjoint and merged");
      last = until;
      for (let second = since; second <= until; second++) told.add(second);
    }
    assert.deepEqual([...told].sort(), [...vouched].sort());
  }));
});
