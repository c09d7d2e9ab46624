/**
 * The long form of tests/e2e/turmoil.test.ts: random changes to a host while a run is up.
 *
 *     deno task soak [CHANGES [SEED]]
 *
 * @module
 */
import { draw } from "../e2e/support/disturbances.ts";
import { meetAll } from "../e2e/support/turmoil.ts";
import { Random } from "../support/random.ts";

/** Milliseconds after which a run is killed: a day. */
const LIMIT = 24 * 60 * 60 * 1000;

const [changes = "1000", seed = `${Date.now() % 1_000_000}`] = Deno.args;
console.log(`${changes} changes, seed ${seed}`);
const random = new Random(Number(seed));
const disturbances = Array.from({ length: Number(changes) }, () => draw(random));
let [done, failed] = [0, 0];
await meetAll(disturbances, report, LIMIT);
console.log(`${done} changes, ${failed} failed`);
Deno.exit(failed === 0 ? 0 : 1);

async function report(what: string, meet: () => Promise<void>): Promise<boolean> {
  done++;
  try {
    await meet();
    console.log(`${done}: ${what}: ok`);
    return true;
  } catch (error) {
    failed++;
    console.log(`${done}: FAILED: ${(error as Error).message}`);
    return false;
  }
}
