import assert from "node:assert/strict";
import { parseArguments } from "../../src/cli/arguments.ts";
import { pageText } from "../../src/cli/help.ts";
import type { LabCommand } from "../../src/cli/lab_arguments.ts";
import { findCommand } from "../../src/cli/words.ts";
import { ConfigError } from "../../src/errors.ts";

/** The command of `onion lab` with these words. */
async function lab(...words: string[]): Promise<LabCommand> {
  const command = await parseArguments(["lab", ...words]);
  return command.kind === "lab" ? command.command : assert.fail(command.kind);
}

async function refuses(line: string, message: string, remedy: string): Promise<void> {
  await assert.rejects(lab(...line.split(" ").filter(Boolean)), new ConfigError(message, remedy));
}

Deno.test("lab up: reads the faults", async () => {
  assert.deepEqual(await lab("up"), {
    verb: "up",
    faults: { loss: 0, deadRouter: false, smallMtu: false },
  });
  assert.deepEqual(await lab("up", "--loss", "2.5", "--dead-router", "--small-mtu"), {
    verb: "up",
    faults: { loss: 2.5, deadRouter: true, smallMtu: true },
  });
  assert.deepEqual(await lab("up", "--loss=10%"), {
    verb: "up",
    faults: { loss: 10, deadRouter: false, smallMtu: false },
  });
  for (const loss of ["101", "-1", "much", "1.234"]) {
    await refuses(
      `up --loss=${loss}`,
      `--loss ${loss}: not a percentage`,
      "write a number from 0 to 100, e.g. 2.5",
    );
  }
});

Deno.test("lab exec: leaves the words after its own to the command", async () => {
  const command = ["ping", "-n", "--help"] as const;
  for (
    const [party, ...own] of [["vm"], ["vm", "--"], ["gw1", "-n", "gw1"], ["gw1", "-n", "onion-gw1", "--"], [
      "csail",
      "--namespace=csail",
    ]]
  ) {
    assert.deepEqual(await lab("exec", ...own, ...command), { verb: "exec", party, command });
  }
  assert.deepEqual(await lab("exec", "--", "--odd"), { verb: "exec", party: "vm", command: ["--odd"] });
  const remedy = "write e.g. onion lab exec -- ping www.csail.mit.edu";
  await refuses("exec", "onion lab exec needs a command", remedy);
  await refuses("exec -n gw1 --", "onion lab exec needs a command", remedy);
  await refuses("exec -n", "--namespace needs a value", "write --namespace PARTY");
  await assert.rejects(lab("exec", "-n", "mars", "true"), {
    message: "--namespace mars: the lab has no such party",
    remedy: /^choose one of vm, gw0, .*, net3, mit, csail, small$/,
  });
});

Deno.test("lab demo: reads the options of a run and its own", async () => {
  const { verb, form, stage } = await lab("demo", "--stage", "2") as LabCommand & { verb: "demo" };
  assert.deepEqual({ verb, form, stage: stage.number }, { verb: "demo", form: "text", stage: 2 });
  assert.equal((await lab("demo", "--stage", "1", "--json") as LabCommand & { verb: "demo" }).form, "json");
  const kept = await lab("demo", "--stage=6", "--pcap", "there", "--mermaid") as LabCommand & {
    verb: "demo";
  };
  assert.deepEqual([kept.form, kept.stage.number, kept.pcap], ["mermaid", 6, "there"]);
  assert.equal((await lab("demo", "--stage", "6") as LabCommand & { verb: "demo" }).pcap, undefined);
  assert.equal((await lab("demo", "--stage", "6") as LabCommand & { verb: "demo" }).latency, 0);
  const far = await lab("demo", "--stage", "6", "--latency", "20") as LabCommand & { verb: "demo" };
  assert.equal(far.latency, 20);
  await refuses(
    "demo --stage 6 --latency 9999",
    "--latency 9999: out of range",
    "choose a number from 0 to 2000",
  );
  await refuses("demo", "onion lab demo needs a stage", "choose one with --stage N");
  await refuses(
    "demo --stage 1 --pcap there",
    "--pcap has no effect in stage 1",
    "leave it out, or run stages 2, 3, 4, 5 and 6",
  );
  await refuses("demo --stage 12", "there is no stage 12", "stages go from 1 to 9");
  await refuses(
    "demo --stage 2 --json --mermaid",
    "--json and --mermaid exclude each other",
    "remove one of them",
  );
});

Deno.test("lab: refuses other words, and prints a page for each command", async () => {
  assert.deepEqual(await lab("down"), { verb: "down" });
  const remedy = "write onion lab up|exec|demo|down";
  await refuses("", "onion lab needs a command", remedy);
  await refuses("sideways", "onion lab has no command sideways", remedy);
  await refuses("down now", "unexpected argument now", "see onion lab down --help");
  for (const words of [["--help"], ["up", "-h"], ["exec", "-n", "gw1", "--help"], ["demo", "--help"]]) {
    const command = await parseArguments(["lab", ...words]);
    assert.equal(command.kind === "print" && command.text, pageText(findCommand(["lab", ...words])));
  }
});
