import { testEachOnce } from './testing';

testEachOnce(1, 3);
