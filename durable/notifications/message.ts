/** What a destination is sent: the same event in the form that it reads. Pure. */
import { stripControlCharacters } from "../../common/text.ts";
import type { Destination } from "./configuration.ts";
import { describeNotice, type NotifiedType } from "./events.ts";
import { signedHeaders } from "./signature.ts";

/** An event that waits for a destination. */
export interface Notification {
  /** Of the event; in the audit log, its `session_id`. */
  readonly id: string;
  /** ms since the epoch */
  readonly at: number;
  readonly type: NotifiedType;
  /** JSON. */
  readonly data: string;
}

export interface Message {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * @param address where the deployment is reached, an origin; lines have no link without it
 * @param now of this attempt, ms since the epoch
 */
export function renderMessage(
  destination: Destination,
  notification: Notification,
  address: string | undefined,
  now: number,
): Message {
  const { id, at, type } = notification;
  const data: unknown = JSON.parse(notification.data);
  const common = { "Content-Type": "application/json", "User-Agent": "sallyport" };
  if (destination.format === "standard") {
    const body = JSON.stringify({ type: `sallyport.${type}`, timestamp: new Date(at).toISOString(), data });
    return { headers: { ...common, ...signedHeaders(destination.secret, id, now, body) }, body };
  }
  const { line, path } = describeNotice(type, data);
  const text = `Sallyport: ${oneLine(line)}`;
  const url = address === undefined || path === null ? undefined : `${address}${path}`;
  const body = destination.format === "slack" ? slackBody(text, url) : teamsBody(text, url);
  return { headers: common, body: JSON.stringify(body) };
}

/** Whatever people wrote stays in one line, and is read in the order in which it is written. */
function oneLine(text: string): string {
  return stripControlCharacters(text).replace(/\s+/gu, " ");
}

/** The three characters that Slack reads: https://api.slack.com/docs/message-formatting. */
const SLACK_ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

/**
 * Slack reads `<!channel>`, `<@U…>` and `<url|text>` in a text, and nothing else that reaches anybody. Its
 * other marks (bold, code) are off. A word that begins with @ pings in programs that take the same form, so a
 * space of no width breaks it; addresses of people stay whole.
 */
function slackBody(text: string, url: string | undefined): object {
  const escaped = text
    .replace(/[&<>]/g, (character) => SLACK_ENTITIES[character] ?? character)
    .replace(/(?<![\p{L}\p{N}._%+-])@(?=\S)/gu, "@\u200B");
  return { text: url === undefined ? escaped : `${escaped} ${url}`, mrkdwn: false };
}

/**
 * What Teams' Workflows take ("when a Teams webhook request is received"): a message with an Adaptive Card. A
 * TextRun is the element that reads no Markdown
 * (https://adaptivecards.io/explorer/TextRun.html), and a mention needs an entity beside the text.
 */
function teamsBody(text: string, url: string | undefined): object {
  const content = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.2",
    body: [{ type: "RichTextBlock", inlines: [{ type: "TextRun", text }] }],
    ...(url !== undefined && { actions: [{ type: "Action.OpenUrl", title: "Open", url }] }),
  };
  return {
    type: "message",
    attachments: [{ contentType: "application/vnd.microsoft.card.adaptive", contentUrl: null, content }],
  };
}
