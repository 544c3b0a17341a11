/** Icons that only the console uses. */
import { Icon } from "../shared/icons";

export const Reel = () => (
  <Icon>
    <rect x="3" y="5" width="18" height="14" rx="2.5" />
    <path d="M7.5 5v14M16.5 5v14M3 9.7h4.500M3 14.300h4.500M16.500 9.700H21M16.500 14.300H21" />
  </Icon>
);
export const Play = () => (
  <Icon>
    <path class="solid" d="M8 5.600v12.800a.8.8 0 0 0 1.200.7l10.300-6.400a.8.8 0 0 0 0-1.400L9.200 4.900a.8.8 0 0 0-1.200.7z" />
  </Icon>
);
export const Down = () => (
  <Icon>
    <path d="M12 4v11M7.500 10.700L12 15.200l4.500-4.500M5 19.500h14" />
  </Icon>
);
