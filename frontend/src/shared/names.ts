/** The name that a participant is shown with. portico/core/names.py is the same rule for compositions. */

/** Members of a context that is a JSON object, by precedence. */
const NAME_MEMBERS = ["username", "name", "displayName", "display_name"];
/** Code points. */
const NAME_LENGTH_MAX = 60;
const NAMELESS = "Guest";
const SPACE = /^[ \t\n\r\v\f\u00a0\u2028\u2029\ufeff]+|[ \t\n\r\v\f\u00a0\u2028\u2029\ufeff]+$/g;

/** The token's label for its holder, else the name in the context's JSON, else a context that is no JSON. */
export function displayName(label: string | null | undefined, context: string | null | undefined): string {
  for (const text of [label ?? "", inContext(context ?? "")]) {
    const name = [...text.replace(SPACE, "")].slice(0, NAME_LENGTH_MAX).join("");
    if (name) return name;
  }
  return NAMELESS;
}

function inContext(context: string): string {
  let value: unknown;
  try {
    value = JSON.parse(context);
  } catch {
    return context;
  }
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    const members = new Map(Object.entries(value));
    value = NAME_MEMBERS.map((member) => members.get(member)).find((each) => typeof each === "string" && each.replace(SPACE, ""));
  }
  return typeof value === "string" ? value : "";
}
