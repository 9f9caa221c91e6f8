import { testEachOnce } from './testing';

testEachOnce(0, 3);
