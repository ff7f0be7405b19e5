-- Rows N heap|region: parses N rows and keeps them all, on the heap or each added to one compact region.
{-# LANGUAGE BangPatterns, DeriveGeneric #-}
module Main (main) where

import Control.DeepSeq
import Control.Monad
import qualified Data.ByteString.Short as S
import Data.IORef
import Data.Word
import GHC.Compact
import GHC.Generics (Generic)
import GHC.Stats
import System.Environment (getArgs)
import System.Mem (performMajorGC)

data Row = Row { key :: !Int, title :: [Word8], code :: !S.ShortByteString, price :: Maybe Integer, options :: [(Int, Maybe Int)] }
  deriving Generic

instance NFData Row

parse :: Int -> Row
parse i = force Row
  { key = i
  , title = [fromIntegral (i * k) | k <- [1 .. 12]]
  , code = S.pack [fromIntegral (i `mod` 50 + k) | k <- [1 .. 8]]
  , price = Just (fromIntegral i * 1000003)
  , options = [(k, if even (i + k) then Just (i + k) else Nothing) | k <- [1 .. 8]] }

main :: IO ()
main = do
  [count, place] <- getArgs
  let n = read count :: Int
  table <- newIORef []
  if place == "heap"
    then forM_ [1 .. n] $ \i -> let !r = parse i in modifyIORef' table (r :)
    else do
      region <- compactSized (1024 * 1024) False ()
      forM_ [1 .. n] $ \i -> do
        added <- compactAdd region (parse i)
        let !r = getCompact added
        modifyIORef' table (r :)
      size <- compactSize region
      putStrLn ("region " ++ show size)
  rows <- readIORef table
  performMajorGC
  stats <- getRTSStats
  putStrLn (unwords ["copied", show (copied_bytes stats), "gc_ns", show (gc_cpu_ns stats), "most_in_use", show (max_mem_in_use_bytes stats),
                     "full", show (major_gcs stats)])
  print (sum (map key rows))
