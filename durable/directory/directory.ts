import { DurableObject } from "cloudflare:workers";
import { answerDirectoryCall, type DirectoryAnswer } from "../../contract/directory.ts";
import { LiveDirectory } from "./live-directory.ts";

/**
 * The Durable Object that knows what is live in the whole deployment. There is one: `DIRECTORY_NAME`.
 *
 * contract/directory.ts describes its methods. Nothing that a session or a request needs waits for them.
 */
export class Directory extends DurableObject {
  readonly #live = new LiveDirectory(Date.now());

  report(argument: unknown): DirectoryAnswer<"report"> {
    return answerDirectoryCall("report", argument, (report) => this.#live.report(report, Date.now()));
  }

  listLive(argument: unknown): DirectoryAnswer<"listLive"> {
    return answerDirectoryCall("listLive", argument, (query) => this.#live.list(query, Date.now()));
  }
}
