/** Icons of the pages, drawn in the colour of the text around them. */
import type { ComponentChildren } from "preact";

export function Icon({ children }: { children: ComponentChildren }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

const slash = <path d="M4 4l16 16" />;

export const Microphone = ({ off = false }) => (
  <Icon>
    <rect x="9" y="3" width="6" height="11" rx="3" />
    <path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3" />
    {off && slash}
  </Icon>
);
export const Camera = ({ off = false }) => (
  <Icon>
    <rect x="3" y="6.5" width="12.5" height="11" rx="2.5" />
    <path d="M15.5 10.5l5-2.8v8.6l-5-2.8" />
    {off && slash}
  </Icon>
);
export const Screen = () => (
  <Icon>
    <rect x="3" y="4.5" width="18" height="12" rx="2" />
    <path d="M8.5 20h7M12 13.5v-6M9.3 10L12 7.3l2.7 2.7" />
  </Icon>
);
export const Bubble = () => (
  <Icon>
    <path d="M4 6.5A2.5 2.5 0 0 1 6.5 4h11A2.5 2.5 0 0 1 20 6.5v7a2.5 2.5 0 0 1-2.5 2.5H11l-4.5 4V16A2.5 2.5 0 0 1 4 13.5z" />
  </Icon>
);
export const HangUp = () => (
  <Icon>
    <path
      class="solid"
      d="M12 9.2c-3.6 0-6.9 1-9 2.9-.6.5-.7 1.4-.3 2.1l1.1 1.7c.4.7 1.3.9 2 .5l2.2-1.2c.6-.3.9-.9.8-1.5l-.2-1.4a10.6 10.6 0 0 1 6.8 0l-.2 1.400c-.1.6.2 1.2.8 1.500l2.2 1.200c.7.4 1.6.2 2-.5l1.1-1.700c.4-.7.3-1.6-.3-2.1-2.1-1.9-5.4-2.9-9-2.900z"
    />
  </Icon>
);
export const Link = () => (
  <Icon>
    <path d="M10 14a4 4 0 0 0 5.7 0l3-3a4 4 0 0 0-5.7-5.700l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.700l1-1" />
  </Icon>
);
export const Check = () => (
  <Icon>
    <path d="M5 12.500l4.5 4.500L19 7.5" />
  </Icon>
);
export const Cross = () => (
  <Icon>
    <path d="M6 6l12 12M18 6L6 18" />
  </Icon>
);
export const Send = () => (
  <Icon>
    <path d="M5 12h13M12.5 6.500L18 12l-5.5 5.5" />
  </Icon>
);
export const Participants = () => (
  <Icon>
    <circle cx="9" cy="8.5" r="3.2" />
    <path d="M3.2 19c.4-3.2 2.8-5 5.8-5s5.4 1.8 5.8 5M15.5 5.600a3.2 3.2 0 0 1 0 5.800M17.5 14.400c1.9.7 3.1 2.3 3.4 4.6" />
  </Icon>
);
export const Mark = () => (
  <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <path d="M16 5 28 11.700v1.900H4v-1.900zM7 16h3.200v7.500H7zm7.4 0h3.200v7.500h-3.200zm7.4 0H25v7.500h-3.200zM4 25.500h24V28H4z" />
  </svg>
);
