/**
 * The owner of a file that root creates in another user's directory.
 */
import assert from "node:assert/strict";
import { changeOwner } from "../../src/sys/file.ts";
import { needing, scratchDirectory } from "./support/program.ts";

/** A user and a group without names. */
const [UID, GID] = [65534, 12345];

Deno.test({
  ...needing(
    "file owner: changes for the open file, not for its name, which may have been moved",
    "root",
  ),
  fn: () => {
    using scratch = scratchDirectory();
    const [log, precious] = [`${scratch.path}/log`, `${scratch.path}/precious`];
    const ownerOf = ({ uid, gid }: Deno.FileInfo) => [uid, gid];
    Deno.writeTextFileSync(precious, "root's");
    using file = Deno.openSync(log, { write: true, createNew: true });
    Deno.renameSync(precious, log);
    changeOwner(file, UID, GID);
    assert.deepEqual(ownerOf(Deno.statSync(log)), [0, 0], "what has the name now");
    assert.deepEqual(ownerOf(file.statSync()), [UID, GID]);
  },
});
