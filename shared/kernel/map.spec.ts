import { fakeMapKernel } from './fake.ts';
import { mapConformance } from './map.conformance.ts';

mapConformance('the fake', fakeMapKernel);
