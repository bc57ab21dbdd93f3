// `node asyncapi.mjs FILE`: what is wrong with an AsyncAPI document, as JSON: [[severity, path, message]], 0 is an error.
// `node asyncapi.mjs OLD NEW...`: for each NEW, the changes that break readers of OLD, as JSON: [["remove /channels/x"]].
import { readFileSync } from "node:fs";

// A version is meant to change. Which service reads or writes a topic is not promised, how long records are kept is.
const rule = (add, remove, edit) => ({ add, remove, edit });
const KAFKA = "/channels/*/bindings/kafka/topicConfiguration";
const override = {
  "/info/version": rule("non-breaking", "non-breaking", "non-breaking"),
  "/operations": rule("non-breaking", "unclassified", "unclassified"),
  "/operations/*": rule("non-breaking", "unclassified", "unclassified"),
};
for (const path of [`${KAFKA}/cleanup.policy/*`, `${KAFKA}/retention.ms`, "/channels/*/messages/*/bindings/kafka/key/description"]) {
  // A rule counts only where all paths above it have one.
  const steps = path.split("/");
  for (let length = 4; length < steps.length; length++) {
    override[steps.slice(0, length).join("/")] ??= rule("non-breaking", "breaking", "breaking");
  }
  override[path] = rule("breaking", "breaking", "breaking");
}

async function faults(text) {
  const { Parser } = await import("@asyncapi/parser");
  const { diagnostics } = await new Parser().parse(text);
  return diagnostics.map(({ severity, path, message }) => [severity, path.join("."), message]);
}

async function breaks(old, all) {
  const { diff } = await import("@asyncapi/diff");
  return all.map((text) => {
    const found = diff(JSON.parse(old), JSON.parse(text), { override }).breaking();
    return found.map(({ action, path }) => `${action} ${path}`);
  });
}

const [first, ...others] = process.argv.slice(2).map((file) => readFileSync(file, "utf8"));
console.log(JSON.stringify(others.length ? await breaks(first, others) : await faults(first)));
