/** The pictures of the console in the documentation. A further page is an entry here. */
import type { Page } from "playwright-core";
import type { PersonaName } from "../access/personas.ts";
import { EXAMPLE_NAMESPACE } from "../examples/namespace.ts";

/** So that the repository stays small. */
export const MAX_PICTURE_BYTES = 150 * 1024;

export interface Picture {
  /** Of the file in docs/screenshots/, without its ending. */
  readonly name: string;
  /** What it shows, for people who do not see it. */
  readonly alt: string;
  /** Default: admin. */
  readonly who?: PersonaName;
  /** Where it begins, below the console's address. */
  readonly path: string;
  /** Goes on from there, and waits until the page shows what the picture is for. */
  readonly show: (page: Page) => Promise<void>;
  /** Default: light. */
  readonly colorScheme?: "dark";
  /** Height of the picture, CSS pixels. Default: `HEIGHT`. */
  readonly height?: number;
}

const alicesShell = `/sessions?namespace=${EXAMPLE_NAMESPACE}&pod=shop&user=alice%40example.com&outcome=exited`;
const approvedShell = `/sessions?namespace=${EXAMPLE_NAMESPACE}&pod=vault&outcome=exited`;

/** Opens the only session that a list has, or the newest. */
async function openFirst(page: Page): Promise<void> {
  await page
    .getByRole("link", { name: new RegExp(`^${EXAMPLE_NAMESPACE}/`) })
    .first()
    .click();
  await page.getByText("This browser computed them").waitFor();
}

/** Scrolls to a heading. */
async function scrollTo(page: Page, heading: string): Promise<void> {
  const found = page.getByRole("heading", { name: heading });
  // The page's policy admits no function of ours: the element itself is asked.
  await found.evaluate((element) => element.scrollIntoView());
}

export const PICTURES: readonly Picture[] = [
  {
    name: "live",
    alt: "Who has a session now: a person, where they are, for how long, whether they are idle",
    path: "/live",
    show: async (page) => {
      await page.getByRole("link", { name: "Watch" }).first().waitFor();
      // For a minute after its start, the directory says that it may not know all.
      await page.getByText("just restarted").waitFor({ state: "hidden" });
    },
    height: 360,
  },
  {
    name: "sessions",
    alt: "Sessions of one namespace: who, where, what, for how long, how each ended",
    path: `/sessions?namespace=${EXAMPLE_NAMESPACE}`,
    show: (page) =>
      page
        .getByRole("link", { name: `${EXAMPLE_NAMESPACE}/vault` })
        .first()
        .waitFor(),
  },
  {
    name: "session",
    alt: "A session's page: its recording, moments to jump to, and a link to the one that is shown",
    path: alicesShell,
    show: async (page) => {
      await openFirst(page);
      await page.getByText("to jump to").click();
      await page.getByRole("button", { name: /exit code/ }).click();
      await page.locator(".ap-term-text").getByText("exit").waitFor();
    },
    height: 920,
  },
  {
    name: "evidence",
    alt: "Who approved a session, what happened in it, and that its log is unchanged",
    path: approvedShell,
    show: async (page) => {
      await openFirst(page);
      await scrollTo(page, "Access for a while");
    },
  },
  {
    name: "watch",
    alt: "A live session as its person sees it now, in the dark colours",
    path: "/live",
    show: async (page) => {
      await page.getByRole("link", { name: "Watch" }).first().click();
      await page.locator(".ap-term-text").getByText("POST /orders 201").first().waitFor();
    },
    colorScheme: "dark",
  },
  {
    name: "requests",
    alt: "Requests of one namespace: changes, secrets that were read, and refusals, with what became of each",
    path: `/requests?namespace=${EXAMPLE_NAMESPACE}`,
    show: (page) => page.getByRole("row").filter({ hasText: "delete" }).first().waitFor(),
  },
  {
    name: "questions",
    alt: "The cookbook's questions by subject; each opens as a form",
    path: "/questions",
    show: (page) => page.getByRole("link", { name: "Who was in production" }).waitFor(),
  },
  {
    name: "approvals",
    alt: "What waits for a decision, what holds, and what was decided",
    path: "/approvals",
    show: (page) => page.getByText("CHG-5: new prices").first().waitFor(),
    who: "bob",
  },
  {
    name: "people",
    alt: "One person: what is live, who they are in the cluster and why, and what they were granted",
    path: "/people/alice%40example.com",
    show: (page) => page.getByText(`${EXAMPLE_NAMESPACE}/vault`).first().waitFor(),
  },
  {
    name: "rules",
    alt: "The rules in force, in words",
    path: "/rules",
    show: (page) => page.getByText("vault-shell").first().waitFor(),
  },
  {
    name: "health",
    alt: "How the audit log, its copies and both Workers are, and what to do where something is not well",
    path: "/health",
    show: (page) => page.getByRole("heading", { name: "Size of the audit database" }).waitFor(),
  },
];
