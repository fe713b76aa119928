import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { type Counts, NO_COUNTS } from "../../audit/events.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { eventually } from "../support/eventually.ts";
import type { Moment } from "../support/fault-matrix.ts";
import { Client, frame, SUCCESS } from "./client.ts";
import { directlyAs, someone, UPGRADE } from "./people.ts";
import { Puppet } from "./puppet.ts";

/** A person's only session, of which the test plays both ends, at the moment of a fault. */
export class Stage {
  readonly person = someone();
  readonly pod: Puppet;
  /** Aborting it breaks the client's connection, at any stage. */
  readonly leaving = new AbortController();
  /** What was relayed, as the audit log must have it. */
  readonly flowed: { -readonly [K in keyof Counts]: number } = { ...NO_COUNTS };
  client: Client | undefined;
  /** The answer to the attempt if it was refused, or what it threw. */
  refusal: Response | undefined;
  attemptFailed: unknown;
  /** The object in which the client runs; the test itself if undefined. A blocked object reads nothing. */
  readonly #home: DurableObjectStub | undefined;
  #resume: () => void = () => {};

  private constructor(pod: Puppet, home: DurableObjectStub | undefined) {
    this.pod = pod;
    this.#home = home;
  }

  /** @param canStall whether the client can stop reading */
  static async reach(moment: Moment, config: Partial<ConfigInput>, canStall = false): Promise<Stage> {
    const home = canStall ? env.USER_SESSIONS.getByName(`client-${crypto.randomUUID()}`) : undefined;
    const stage = new Stage(await Puppet.make({ hold: moment === "dialling" }), home);
    const attempted = stage.#attempt(config);
    await eventually(() => {
      if (!stage.pod.isAsked && !stage.refusal)
        throw new Error("the cluster was not asked, and the client not refused");
    });
    if (moment === "dialling") return stage;
    await attempted;
    if (moment === "opened") return stage;
    await stage.flow();
    if (moment === "during close") await stage.sendExit();
    return stage;
  }

  /** The person's object. */
  get object() {
    return env.USER_SESSIONS.getByName(this.person.email);
  }

  /** Relays `in` and `out`. */
  async flow(): Promise<void> {
    await this.atClient((client) => client.send(frame(0, "in")));
    this.#count("in", 3);
    await eventually(() => expectLength(this.pod.received, 1));
    this.pod.send(frame(1, "out"));
    this.#count("out", 4);
    await this.#received(1);
  }

  /** The command ends with 0, and the cluster sends its Status. */
  async sendExit(): Promise<void> {
    this.pod.send(SUCCESS);
    this.#count("out", SUCCESS.length);
    await this.#received(this.flowed.messages_out);
  }

  /** Continues the session from any moment to a normal end. */
  async goOnToTheEnd(moment: Moment): Promise<void> {
    if (moment === "dialling") {
      this.pod.accept();
      await eventually(() => {
        if (!this.client) throw new Error("not opened");
      });
    }
    if (moment === "dialling" || moment === "opened") await this.flow();
    if (moment !== "during close") await this.sendExit();
    this.pod.close(1000);
    await this.hungUp();
  }

  /**
   * The client reads nothing until `readOn`, or for 30 s.
   *
   * @param last what it does just before
   */
  async stopReading(last: (client: Client) => void = () => {}): Promise<void> {
    const { client } = this;
    if (!client) throw new Error("there is no client");
    const resumed = new Promise<void>((resolve) => {
      this.#resume = resolve;
    });
    let isBlocked = false;
    void runInDurableObject(this.#homeOrFail(), (_, state) => {
      last(client);
      void state.blockConcurrencyWhile(() => resumed);
      isBlocked = true;
    });
    await eventually(() => {
      if (!isBlocked) throw new Error("still reading");
    });
  }

  readOn(): void {
    this.#resume();
  }

  async hungUp(): Promise<void> {
    await eventually(() => {
      if (!this.client?.hungUp) throw new Error("the client's connection is still open");
    });
  }

  /** Runs where the client runs: its socket can be used only there. */
  async atClient(work: (client: Client) => void): Promise<void> {
    const { client } = this;
    if (!client) throw new Error("there is no client");
    if (this.#home) await runInDurableObject(this.#home, () => work(client));
    else work(client);
  }

  /** Rings the alarm of the person's object, which must be set. */
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
    return eventually(() => expectLength(this.client?.received ?? [], messages));
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
