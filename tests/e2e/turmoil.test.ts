/**
 * A host to which one thing after the other happens while a run is up and pings go on. None leaves
 * in the clear. Within a second pings pass again, or stderr says why they do not. `deno task soak`
 * is the long form.
 */
import { Random } from "../support/random.ts";
import { drawAll } from "./support/disturbances.ts";
import { needing } from "./support/program.ts";
import { RIG_NEEDS } from "./support/rig.ts";
import { meetAll } from "./support/turmoil.ts";

Deno.test({
  ...needing(
    "turmoil: whatever happens to the host, captured packets pass the onion or are refused",
    ...RIG_NEEDS,
  ),
  fn: (t) => meetAll(drawAll(new Random(20)), (what, meet) => t.step(what, meet), 150_000),
});
