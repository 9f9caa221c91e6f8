import { main } from '../common/experiment';
import { measure } from './measure';

main('netlink-bench', measure);
