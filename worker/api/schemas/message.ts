/** A line for the terminal of a live session. */
import * as z from "zod";
import { stripControlCharacters } from "../../../common/text.ts";

const MAX_TEXT_CHARS = 400;
const TEXT_ERROR = 'must say what to show, as text or as {"text": "…"}';

export const messageBody = {
  schema: z.strictObject({
    text: z
      .string()
      .transform((text) => stripControlCharacters(text, MAX_TEXT_CHARS))
      .refine((text) => text !== "", TEXT_ERROR)
      .describe(`The line. Control characters are replaced; at most ${MAX_TEXT_CHARS} characters are kept.`),
  }),
  example: { text: "please stop: I restore this database" },
  plainTextField: "text",
};

export const shownMessage = z
  .strictObject({ shown: z.string().describe("The line as it is in the audit log.") })
  .meta({ id: "ShownMessage", description: "A line that a session's terminal has been sent." });
