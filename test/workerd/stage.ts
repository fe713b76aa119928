import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import { type Counts, NO_COUNTS } from "../../audit/events.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import type { Moment } from "../support/fault-matrix.ts";
import { Client, frame, SUCCESS } from "./client.ts";
import { directlyAs, someone, UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";

/** One person's only session, with the test on both of its ends, brought to a moment for a fault to happen then. */
export class Stage {
  readonly person = someone();
  readonly pod: Puppet;
  /** Aborting it breaks the client's connection, at whatever stage. */
  readonly leaving = new AbortController();
  /** What crosses, as it must be in the record. */
  readonly flowed: { -readonly [K in keyof Counts]: number } = { ...NO_COUNTS };
  client: Client | undefined;
  /** The attempt's answer where it is no session, or why there is none. */
  refusal: Response | undefined;
  attemptFailed: unknown;
  /** Whose thread the client lives in; without it, in the test's own. While that object is blocked, nothing is read. */
  readonly #home: DurableObjectStub | undefined;
  #goOn: () => void = () => {};

  private constructor(pod: Puppet, home: DurableObjectStub | undefined) {
    this.pod = pod;
    this.#home = home;
  }

  /** @param canStall the client can be told to stop reading */
  static async reach(moment: Moment, config: Partial<ConfigInput>, canStall = false): Promise<Stage> {
    const home = canStall ? env.USER_SESSIONS.getByName(`client-${crypto.randomUUID()}`) : undefined;
    const stage = new Stage(await Puppet.make({ hold: moment === "dialling" }), home);
    const attempted = stage.#attempt(config);
    await vi.waitFor(() => {
      if (!stage.pod.isAsked && !stage.refusal) throw new Error("the cluster was not asked, the client not refused");
    });
    if (moment === "dialling") return stage;
    await attempted;
    if (moment === "opened") return stage;
    await stage.flow();
    if (moment === "during close") await stage.tellExit();
    return stage;
  }

  /** The person's object. */
  get object() {
    return env.USER_SESSIONS.getByName(this.person.email);
  }

  /** `in` crosses, and `out`. */
  async flow(): Promise<void> {
    await this.atClient((client) => client.send(frame(0, "in")));
    this.#count("in", 3);
    await vi.waitFor(() => expectLength(this.pod.received, 1));
    this.pod.send(frame(1, "out"));
    this.#count("out", 4);
    await this.#received(1);
  }

  /** The command ends with 0, and the cluster says so. */
  async tellExit(): Promise<void> {
    this.pod.send(SUCCESS);
    this.#count("out", SUCCESS.length);
    await this.#received(this.flowed.messages_out);
  }

  /** From wherever it is, the session goes on to a good end. */
  async goOnToTheEnd(moment: Moment): Promise<void> {
    if (moment === "dialling") {
      this.pod.accept();
      await vi.waitFor(() => {
        if (!this.client) throw new Error("not opened");
      });
    }
    if (moment === "dialling" || moment === "opened") await this.flow();
    if (moment !== "during close") await this.tellExit();
    this.pod.close(1000);
    await this.hungUp();
  }

  /** The client reads nothing until `readOn`, or 30 s have gone by. */
  async stopReading(): Promise<void> {
    const goOn = new Promise<void>((resolve) => {
      this.#goOn = resolve;
    });
    let isBlocked = false;
    void runInDurableObject(this.#homeOrFail(), (_, state) => {
      void state.blockConcurrencyWhile(() => goOn);
      isBlocked = true;
    });
    await vi.waitFor(() => {
      if (!isBlocked) throw new Error("still reading");
    });
  }

  readOn(): void {
    this.#goOn();
  }

  async hungUp(): Promise<void> {
    await vi.waitFor(
      () => {
        if (!this.client?.hungUp) throw new Error("the client has not been hung up on");
      },
      { timeout: 6_000, interval: 10 },
    );
  }

  /** Runs in the thread that the client lives in: sockets are of use only there. */
  async atClient(work: (client: Client) => void): Promise<void> {
    const { client } = this;
    if (!client) throw new Error("there is no client");
    if (this.#home) await runInDurableObject(this.#home, () => work(client));
    else work(client);
  }

  /** What the person's object does when its alarm rings, and the alarm is due when something waits. */
  async ring(): Promise<void> {
    if (!(await runDurableObjectAlarm(this.object))) throw new Error("no alarm is set");
  }

  async #attempt(config: Partial<ConfigInput>): Promise<void> {
    const open = async () => {
      const init = { headers: UPGRADE, signal: this.leaving.signal };
      const response = await directlyAs(this.person, this.pod.path(), init, { config });
      if (response.webSocket) this.client = await Client.open(response);
      else this.refusal = response;
    };
    try {
      await (this.#home ? runInDurableObject(this.#home, open) : open());
    } catch (error) {
      this.attemptFailed = error;
    }
  }

  #received(messages: number): Promise<void> {
    return vi.waitFor(() => expectLength(this.client?.received ?? [], messages));
  }

  #count(way: "in" | "out", bytes: number): void {
    this.flowed[`bytes_${way}`] += bytes;
    this.flowed[`messages_${way}`]++;
  }

  #homeOrFail(): DurableObjectStub {
    if (!this.#home) throw new Error("this client cannot stop reading");
    return this.#home;
  }
}

function expectLength({ length }: readonly unknown[], expected: number): void {
  if (length !== expected) throw new Error(`${length} messages have come, not ${expected}`);
}
