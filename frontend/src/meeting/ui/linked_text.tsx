/** Text of a message whose web addresses can be clicked. */

export interface Part {
  text: string;
  /** An http or https address; undefined for plain text. */
  href: string | undefined;
}

const ADDRESS = /\bhttps?:\/\/[^\s<>"'`]+/gi;
/** Signs that end a sentence or a bracket and belong to an address only inside of it. */
const AFTER = /[.,;:!?)\]}*_]+$/;

export function partsOf(text: string): Part[] {
  const parts: Part[] = [];
  let end = 0;
  for (const found of text.matchAll(ADDRESS)) {
    const address = trimmed(found[0]);
    const href = safeAddress(address);
    if (!href) continue;
    if (found.index > end) parts.push({ text: text.slice(end, found.index), href: undefined });
    parts.push({ text: address, href });
    end = found.index + address.length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), href: undefined });
  return parts;
}

export function LinkedText({ text }: { text: string }) {
  return (
    <>
      {partsOf(text).map(({ text: shown, href }) =>
        // Another tab: the call goes on. It gets neither a way back to this page nor its address.
        href ? (
          <a href={href} target="_blank" rel="noopener noreferrer nofollow">
            {shown}
          </a>
        ) : (
          shown
        ),
      )}
    </>
  );
}

/** "(see https://example.com/a_(b))." keeps the bracket that was opened in the address. */
function trimmed(address: string): string {
  const shorter = address.replace(AFTER, "");
  const opened = count(shorter, "(") - count(shorter, ")");
  return opened > 0 && address.startsWith(`${shorter})`) ? `${shorter})` : shorter;
}

function count(text: string, sign: string): number {
  return text.split(sign).length - 1;
}

/** What is shown has to be where it leads: `https://bank.example@elsewhere.example` is no link. */
function safeAddress(text: string): string | undefined {
  try {
    const { protocol, username, password, hostname, href } = new URL(text);
    const isWeb = protocol === "http:" || protocol === "https:";
    return isWeb && hostname && !username && !password ? href : undefined;
  } catch {
    return undefined;
  }
}
