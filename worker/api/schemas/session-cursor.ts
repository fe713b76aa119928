/** The `cursor` of `GET /-/admin/sessions`: where the page before ended. */
import * as z from "zod";
import { CURSOR_ERROR } from "./shared.ts";

/** The last session of a page. */
interface Position {
  readonly startedAt: number;
  readonly id: string;
}

const CURSOR = /^(\d{1,15})\.([A-Za-z0-9_-]{1,64})$/;

export const sessionCursor = z
  .string()
  .transform((text, context): Position => {
    const [, startedAt, id] = CURSOR.exec(text) ?? [];
    if (startedAt !== undefined && id !== undefined) return { startedAt: Number(startedAt), id };
    context.addIssue({ code: "custom", message: CURSOR_ERROR });
    return z.NEVER;
  })
  .describe("The `next` of the page before.");

export function writeSessionCursor({ startedAt, id }: Position): string {
  return `${startedAt}.${id}`;
}
