/** What happens in the examples, in this order. All of it is real: kubectl, Sallyport, embedded cluster. */
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { STATE_MAX_AGE_MS } from "../../worker/sessions/state-max-age.ts";
import type { PersonaName } from "../access/personas.ts";
import type { Running } from "../programs/kubectl.ts";
import { ask, decide, giveBack, giveBackExamples } from "./access.ts";
import { DATABASE_PORT, EXAMPLE_CHANGE, EXAMPLE_NAMESPACE } from "./namespace.ts";
import { EXAMPLE_MARK, ExampleError, type Person } from "./person.ts";

export type People = Readonly<Record<PersonaName, Person>>;

export interface Step {
  /** A sentence for whoever looks for it in the console. */
  readonly title: string;
  readonly play: (people: People) => Promise<void>;
}

const IN_NAMESPACE = ["-n", EXAMPLE_NAMESPACE];
/** As the embedded cluster refuses, by RBAC. */
const FORBIDDEN = { code: 1, says: /forbidden/i } as const;

export const SCENARIO: readonly Step[] = [
  {
    title: "alice looks around in a shell of the pod shop",
    play: async ({ alice }) => {
      await giveBackExamples(alice);
      await alice.state(`${EXAMPLE_MARK}INC-17: the shop is slow`);
      const shell = alice.openShell("shop");
      await shell.type(["ls", "cat prices.csv", "tail -n 3 access.log", "grep -c POST access.log"]);
      await shell.exit();
    },
  },
  {
    title: "alice reaches the database's port",
    play: async ({ alice }) => {
      await alice.state(`${EXAMPLE_MARK}INC-17: look for locked rows`);
      const forward = alice.start(["port-forward", ...IN_NAMESPACE, "pod/database", `:${DATABASE_PORT}`]);
      const [, port] = await printed(forward, /Forwarding from 127\.0\.0\.1:(\d+) /);
      await talkTo(Number(port), "SELECT id FROM orders WHERE locked;\n");
      forward.child.kill("SIGINT");
      await forward.finished;
    },
  },
  {
    title: "admin ends a shell of alice",
    play: async ({ alice, admin }) => {
      await alice.state(`${EXAMPLE_MARK}INC-17: clean up`);
      const shell = alice.openShell("worker");
      await shell.type(["pwd | wc -l"]);
      const query = new URLSearchParams({ state: "live", namespace: EXAMPLE_NAMESPACE, pod: "worker" });
      const id = await admin.poll(`/-/admin/sessions?${query}`, firstId);
      const reason = new URLSearchParams({ reason: `${EXAMPLE_MARK}this is the wrong pod` });
      await admin.run(["delete", "--raw", `/-/admin/sessions/${id}?${reason}`]);
      await shell.ends(1);
    },
  },
  {
    title: "a command of admin fails: exit code 3, with a message on stderr",
    play: async ({ admin }) => {
      await admin.state(`${EXAMPLE_MARK}CHG-4: migrate the orders`);
      const script = `echo "migration 42: add a column"; sleep 1; echo "ERROR: orders is locked" >&2; sleep 1; exit 3`;
      await admin.run(["exec", ...IN_NAMESPACE, "shop", "--", "sh", "-c", script], { code: 3, says: /is locked/ });
    },
  },
  {
    title: "admin copies a file out of the pod shop",
    play: async ({ admin }) => {
      await admin.state(`${EXAMPLE_MARK}INC-17: keep the log`);
      const folder = mkdtempSync(join(tmpdir(), "sallyport-example-"));
      try {
        await admin.run(["cp", ...IN_NAMESPACE, "shop:access.log", join(folder, "access.log")]);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  },
  {
    title: "alice leaves a shell open, which follows a log",
    play: async ({ alice }) => {
      await alice.state(`${EXAMPLE_MARK}INC-17: watch the log`);
      await alice.openShell("shop").leaveRunning("tail -f access.log");
    },
  },
  {
    title: "a shell of alice in the pod vault waits until bob approves it",
    play: async ({ alice, bob }) => {
      await alice.state(`${EXAMPLE_MARK}INC-17: is the vault sealed?`);
      const id = await ask(alice, "vault-shell", "INC-17: is the vault sealed?");
      const shell = alice.openShell("vault");
      await shell.shows(/needs an approval/);
      await decide(bob, id, "approve", "seen the incident");
      await shell.type(["cat status"]);
      await shell.exit();
      await giveBack(alice, id);
    },
  },
  {
    title: "alice may not read a secret, and asks for prod-admin: admin denies it, bob approves the second request",
    play: async ({ alice, admin, bob }) => {
      await alice.run(["get", "secret", ...IN_NAMESPACE, "database"], FORBIDDEN);
      await decide(admin, await ask(alice, "prod-admin", "I need it"), "deny", "say what for");
      await decide(bob, await ask(alice, "prod-admin", "INC-17: rotate the password"), "approve", "seen the incident");
    },
  },
  {
    title: "the cluster refuses bob a command, a rule refuses him another one, and mallory is known to nobody",
    play: async ({ bob, mallory }) => {
      await bob.state(`${EXAMPLE_MARK}just curious`);
      await bob.run(["exec", ...IN_NAMESPACE, "shop", "--", "cat", "prices.csv"], FORBIDDEN);
      const refused = { code: 1, says: /requires the grant vault-shell/ };
      await bob.run(["exec", ...IN_NAMESPACE, "vault", "--", "cat", "status"], refused);
      await bob.run(["get", "secret", ...IN_NAMESPACE, "database"], FORBIDDEN);
      await mallory.run(["get", "pods", ...IN_NAMESPACE], { code: 1, says: /Forbidden/ });
    },
  },
  {
    title: "with prod-admin alice reads the secret, applies a change and deletes a pod, and gives it back",
    play: async ({ alice }) => {
      const id = await alice.poll("/-/access", activeId);
      // For so long the edge may not know yet that the grant holds. It is not asked until it does: each
      // refusal would be in the examples' audit log.
      await alice.wait(STATE_MAX_AGE_MS);
      await alice.run(["get", "secret", ...IN_NAMESPACE, "database"]);
      await alice.run(["apply", "--validate=false", "-f", "-"], {}, JSON.stringify(EXAMPLE_CHANGE));
      await alice.run(["delete", "pod", ...IN_NAMESPACE, "worker", "--wait=false"]);
      await giveBack(alice, id);
    },
  },
  {
    title: "alice asks for prod-admin again, and nobody has decided",
    play: async ({ alice }) => {
      await ask(alice, "prod-admin", "CHG-5: new prices");
    },
  },
];

/**
 * What people do after the examples is no example. A reason cannot be taken back, so another one takes its
 * place for what is left of its 15 minutes.
 */
export async function endReasons({ alice, bob, admin }: People): Promise<void> {
  for (const person of [alice, bob, admin]) await person.state("None: the examples of npm start are over");
}

const itemsOf = (answer: unknown) =>
  (answer as { readonly items: readonly { readonly id: string; readonly state: string; readonly grant: string }[] })
    .items;
const firstId = (answer: unknown) => itemsOf(answer)[0]?.id;
const activeId = (answer: unknown) =>
  itemsOf(answer).find(({ state, grant }) => state === "active" && grant === "prod-admin")?.id;

/** Waits until kubectl has printed something, and lets it print more. */
function printed({ child, stdout, stderr, finished }: Running, pattern: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    child.stdout?.on("data", () => {
      const found = pattern.exec(stdout());
      if (found) resolve(found);
    });
    const fail = () => reject(new ExampleError(`kubectl ended without ${pattern}: ${stderr().trim()}`));
    finished.then(fail, fail);
  });
}

/** Sends text through a forwarded port, and waits for its echo. */
async function talkTo(port: number, text: string): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  socket.write(text);
  let answer = "";
  for await (const chunk of socket) {
    answer += String(chunk);
    if (answer.length >= text.length) break;
  }
  if (answer !== text) throw new ExampleError(`the database's port answered ${JSON.stringify(answer)}`);
}
