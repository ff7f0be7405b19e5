-- Strip N strip|take: a list of N one-byte strings, of which a tenth stays: every tenth one, or the first tenth.
module Main (main) where

import Control.Monad (replicateM_)
import qualified Data.ByteString.Char8 as B
import Data.IORef
import System.Environment (getArgs)
import System.Mem (performMajorGC)

everyTenth :: [a] -> [a]
everyTenth (x : rest) = x : everyTenth (drop 9 rest)
everyTenth [] = []

main :: IO ()
main = do
  [count, mode] <- getArgs
  let n = read count :: Int
  strings <- newIORef [B.singleton (toEnum (65 + i `mod` 26)) | i <- [1 .. n]]
  built <- readIORef strings
  putStrLn ("built " ++ show (sum (map B.length built)))
  replicateM_ 3 performMajorGC
  all' <- readIORef strings
  let kept = if mode == "take" then take (n `div` 10) all' else everyTenth all'
  putStrLn ("kept " ++ show (length kept))
  writeIORef strings kept
  replicateM_ 30 performMajorGC
  left <- readIORef strings
  putStrLn ("left " ++ show (sum (map B.length left)))
