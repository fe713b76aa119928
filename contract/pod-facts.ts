/** What the edge tells an object of a change's body. The object trusts none of it: everything has a bound. */
import * as z from "zod";
import { HOST_NAMESPACES, POD_FACTS_LIMITS, type PodFacts, UNREAD_REASONS } from "../audit/pod-facts.ts";

export const podFactsSchema = z
  .union([
    z.strictObject({ unread: z.enum(UNREAD_REASONS) }),
    z.strictObject({
      images: z.array(z.string().max(POD_FACTS_LIMITS.imageChars)).max(POD_FACTS_LIMITS.images).readonly(),
      more_images: z.int().nonnegative(),
      privileged: z.boolean(),
      host_namespaces: z.array(z.enum(HOST_NAMESPACES)).max(HOST_NAMESPACES.length).readonly(),
      service_account: z.string().max(POD_FACTS_LIMITS.nameChars).nullable(),
    }),
  ])
  .readonly() satisfies z.ZodType<PodFacts>;
