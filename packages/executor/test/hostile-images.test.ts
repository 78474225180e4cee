import { hostileImages } from './hostile/catalogue.ts'
import { testTrials } from './hostile/test-trials.ts'

testTrials('hostile images', hostileImages)
